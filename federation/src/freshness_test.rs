//! The bounds to the nanosecond, and properties of them.

use proptest::prelude::*;

use super::*;

const WALL: Duration = Duration::from_secs(1_800_000_000);
const NANO: Duration = Duration::from_nanos(1);

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn moment(boottime: Duration) -> Moment {
    Moment { boottime, wall: WALL + boottime }
}

/// A view whose probe was sent `age` ago.
fn aged(age: Duration) -> ViewFacts {
    let sent = seconds(500);
    ViewFacts { now: moment(sent + age), as_of: AsOf::Probe(moment(sent)) }
}

const LOCAL: Bounds = Bounds {
    max_staleness: Ttl::from_seconds(10),
    on_stale: OnStale::Local {
        stale_ttl: Ttl::from_seconds(60),
        local_max: Ttl::from_seconds(3_600),
    },
};
const REFUSE: Bounds = Bounds { on_stale: OnStale::Refuse, ..LOCAL };

fn local(left: Duration) -> Freshness {
    Freshness::Local { ttl_max: Ttl::from_seconds(60), left }
}

#[test]
fn a_view_is_fresh_until_it_is_as_old_as_the_bound() {
    for (bounds, traffic) in [
        (LOCAL, Traffic::Resident),
        (LOCAL, Traffic::Border),
        (REFUSE, Traffic::Resident),
        (REFUSE, Traffic::Border),
    ] {
        assert_eq!(judge(&bounds, traffic, &aged(Duration::ZERO)), Freshness::Fresh);
        assert_eq!(judge(&bounds, traffic, &aged(seconds(10) - NANO)), Freshness::Fresh);
        assert_ne!(judge(&bounds, traffic, &aged(seconds(10))), Freshness::Fresh);
    }
}

#[test]
fn past_the_bound_only_residents_are_served_and_only_where_the_region_says_so() {
    let old = aged(seconds(10));
    assert_eq!(judge(&LOCAL, Traffic::Resident, &old), local(seconds(3_590)));
    assert_eq!(judge(&LOCAL, Traffic::Border, &old), Freshness::Stale);
    assert_eq!(judge(&REFUSE, Traffic::Resident, &old), Freshness::Stale);
    assert_eq!(judge(&REFUSE, Traffic::Border, &old), Freshness::Stale);
}

#[test]
fn local_mode_ends_when_the_view_is_as_old_as_local_max() {
    assert_eq!(judge(&LOCAL, Traffic::Resident, &aged(seconds(3_600) - NANO)), local(NANO));
    assert_eq!(judge(&LOCAL, Traffic::Resident, &aged(seconds(3_600))), Freshness::Stale);
}

#[test]
fn a_region_alone_is_always_fresh_and_a_node_that_was_never_confirmed_never() {
    let now = moment(seconds(1));
    for (as_of, expected) in [(AsOf::Alone, Freshness::Fresh), (AsOf::Never, Freshness::Stale)] {
        for traffic in [Traffic::Resident, Traffic::Border] {
            assert_eq!(judge(&LOCAL, traffic, &ViewFacts { now, as_of }), expected);
        }
    }
    assert_eq!(ViewFacts::alone(now).as_of(), Some(now.unix_time()));
    assert_eq!(ViewFacts { now, as_of: AsOf::Never }.as_of(), None);
    assert_eq!(ViewFacts { now, as_of: AsOf::Never }.age(), None);
}

#[test]
fn a_wall_clock_that_was_set_makes_the_view_stale_at_once() {
    let set = |change: fn(Duration) -> Duration| {
        let mut facts = aged(seconds(1));
        facts.now.wall = change(facts.now.wall);
        judge(&LOCAL, Traffic::Border, &facts)
    };
    assert_eq!(set(|wall| wall + seconds(1)), Freshness::Fresh, "a second apart is drift");
    assert_eq!(set(|wall| wall - seconds(1)), Freshness::Fresh);
    assert_eq!(set(|wall| wall + seconds(1) + NANO), Freshness::Stale);
    assert_eq!(set(|wall| wall - seconds(1) - NANO), Freshness::Stale);
    assert_eq!(set(|_| Duration::ZERO), Freshness::Stale, "1970");
    assert_eq!(set(|wall| wall + seconds(3_600 * 24 * 365 * 80)), Freshness::Stale, "2106");
}

#[test]
fn a_wall_clock_that_was_set_neither_lengthens_nor_shortens_local_mode() {
    let mut facts = aged(seconds(60));
    for wall in [Duration::ZERO, facts.now.wall - seconds(300), facts.now.wall + seconds(300)] {
        facts.now.wall = wall;
        assert_eq!(judge(&LOCAL, Traffic::Resident, &facts), local(seconds(3_540)));
    }
}

#[test]
fn clocks_that_differ_between_machines_do_not_matter() {
    let mut facts = aged(seconds(1));
    let AsOf::Probe(probed) = &mut facts.as_of else { unreachable!("it was probed") };
    probed.wall -= seconds(600);
    facts.now.wall -= seconds(600);
    assert_eq!(judge(&LOCAL, Traffic::Border, &facts), Freshness::Fresh);
}

#[test]
fn a_probe_from_the_future_is_none() {
    let mut facts = aged(seconds(1));
    facts.now.boottime = seconds(499);
    assert_eq!(judge(&LOCAL, Traffic::Resident, &facts), Freshness::Stale);
    assert_eq!(facts.age(), None);
}

#[test]
fn a_token_leaves_only_under_a_view_that_allows_its_lifetime() {
    let (fresh, stale) = (Freshness::Fresh, Freshness::Stale);
    let local = local(seconds(1));
    for (decided, now, leaves) in [
        (fresh, fresh, true),
        (local, local, true),
        (local, fresh, true),
        (fresh, local, false),
        (fresh, stale, false),
        (local, stale, false),
        (stale, fresh, false),
        (stale, stale, false),
    ] {
        assert_eq!(decided.permit_token(now).is_ok(), leaves, "{decided:?}, then {now:?}");
    }
    assert!(fresh.permit().is_ok() && local.permit().is_ok() && stale.permit().is_err());
    assert_eq!(local.ttl_max(), Some(Ttl::from_seconds(60)));
    assert_eq!(fresh.ttl_max(), None);
}

#[test]
fn minutes_count_a_begun_one() {
    for (left, minutes) in [(0, 0), (1, 1), (60, 1), (61, 2), (3_600, 60)] {
        assert_eq!(minutes_left(seconds(left)), minutes);
    }
    assert_eq!(minutes_left(seconds(60) + NANO), 2);
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1_u32..100, 1_u32..100, 1_u32..10_000, any::<bool>()).prop_map(
        |(max_staleness, stale_ttl, local_max, local)| Bounds {
            max_staleness: Ttl::from_seconds(max_staleness),
            on_stale: if local {
                OnStale::Local {
                    stale_ttl: Ttl::from_seconds(stale_ttl),
                    local_max: Ttl::from_seconds(local_max),
                }
            } else {
                OnStale::Refuse
            },
        },
    )
}

/// A view of any age, with a wall clock that went as it liked.
fn views() -> impl Strategy<Value = ViewFacts> {
    (0_u64..20_000_000, 0_u64..20_000_000, 0_u64..40_000).prop_map(|(sent, age, wall)| {
        let sent = Duration::from_millis(sent);
        let now = sent + Duration::from_millis(age);
        ViewFacts {
            now: Moment { boottime: now, wall: seconds(wall) },
            as_of: AsOf::Probe(Moment { boottime: sent, wall: seconds(20_000) }),
        }
    })
}

/// How much an answer allows.
fn width(freshness: Freshness) -> u8 {
    match freshness {
        Freshness::Fresh => 2,
        Freshness::Local { .. } => 1,
        Freshness::Stale => 0,
    }
}

proptest! {
    #[test]
    fn nothing_crosses_a_border_past_the_bound(bounds in bounds(), view in views()) {
        let age = view.age().unwrap();
        let judged = judge(&bounds, Traffic::Border, &view);
        prop_assert_ne!(width(judged), 1, "local mode at a border");
        if judged == Freshness::Fresh {
            prop_assert!(age < length(bounds.max_staleness));
        }
    }

    #[test]
    fn nobody_is_served_past_both_bounds(bounds in bounds(), view in views()) {
        let local_max = match bounds.on_stale {
            OnStale::Local { local_max, .. } => local_max,
            OnStale::Refuse => Ttl::from_seconds(0),
        };
        if view.age().unwrap() >= length(bounds.max_staleness.max(local_max)) {
            prop_assert_eq!(judge(&bounds, Traffic::Resident, &view), Freshness::Stale);
        }
    }

    #[test]
    fn a_border_allows_no_more_than_residents_get(bounds in bounds(), view in views()) {
        let (resident, border) =
            (judge(&bounds, Traffic::Resident, &view), judge(&bounds, Traffic::Border, &view));
        prop_assert!(width(border) <= width(resident));
    }

    #[test]
    fn a_view_only_gets_staler(bounds in bounds(), view in views(), later in 0_u64..1_000_000) {
        let later = Duration::from_millis(later);
        let now = Moment { boottime: view.now.boottime + later, wall: view.now.wall + later };
        let later = ViewFacts { now, ..view };
        for traffic in [Traffic::Resident, Traffic::Border] {
            prop_assert!(
                width(judge(&bounds, traffic, &later)) <= width(judge(&bounds, traffic, &view))
            );
        }
    }
}
