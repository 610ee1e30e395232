//! A token of one region is judged in another, from what both hold: its region's keys, what was
//! revoked, and the block that is sealed in it for the other (design section 6).

use serde_json::{Value, json};

use super::{
    lab::{Lab, files::REGIONS, http::CLIENT, wait_for},
    revocation::{Issued, OF_PERSON, World},
};

/// Where tokens come from, and where they are asked about.
const HOME: usize = 0;
const ABROAD: usize = 1;
/// A region that knows the service, and for which nothing is sealed.
const ELSEWHERE: usize = 2;

fn append(lab: &Lab, node: usize, change: impl FnOnce(String) -> String) {
    let file = lab.sites[node].path("region.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, change(text)).unwrap();
}

/// Lets the service of the first region ask in the second, which is given a key for it, and in the
/// third, which is not.
fn open_the_border(lab: &Lab) {
    let orders = format!("https://api.{}.example/orders", REGIONS[HOME].name);
    for node in [ABROAD, ELSEWHERE] {
        let table = format!(
            "\n[[resource]]\nid = \"{orders}\"\nscopes = [\"orders:read\"]\nclaims = []\n\
             introspect_as = [\"{CLIENT}\"]\n"
        );
        append(lab, node, |text| text + &table);
    }
    append(lab, HOME, |text| {
        let named = format!("introspect_as = [\"{CLIENT}\"]\n");
        assert!(text.contains(&named), "{text}");
        let abroad = REGIONS[ABROAD].name;
        text.replacen(&named, &format!("{named}introspect_in = [\"{abroad}\"]\n"), 1)
    });
    let file = |node: usize, name: &str| lab.sites[node].path(name).display().to_string();
    let (offer, key) = (file(ABROAD, "border.offer"), file(HOME, "border.key"));
    lab.sites[ABROAD].exequatur(&["keys", "offer", "--out", &offer]).done();
    lab.sites[HOME].exequatur(&["keys", "share", &offer, "--out", &key]).done();
    lab.sites[ABROAD].exequatur(&["keys", "take", &key]).done();
}

/// What a region says of a token, once it has heard of the key and knows how old its view is.
fn said(world: &World, node: usize, issued: &Issued) -> Value {
    wait_for("an answer about a token of another region", || {
        let reply = world.ask(node, "/introspect", &[("token", &issued.token)]).unwrap();
        let later = ["view_stale", "region_key_unknown"].contains(&reply.error_id());
        assert!(later || reply.status == 200, "{reply:?}");
        (!later).then_some(reply.json)
    })
}

fn is_dead(world: &World, node: usize, issued: &Issued) -> bool {
    said(world, node, issued) == json!({"active": false})
}

#[test]
fn a_token_of_another_region_is_judged_from_what_is_replicated() {
    let world = World::form_after(open_the_border);
    let (first, second, third) =
        (world.exchange(HOME, "ada"), world.exchange(HOME, "grace"), world.exchange(HOME, "ada"));
    let told = said(&world, ABROAD, &first);
    let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    let protocol = ["active", "aud", "client_id", "exp", "iat", "iss", "scope", "token_type"];
    assert_eq!(names, protocol, "claims stay at home");
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(CLIENT)));
    assert!(is_dead(&world, ELSEWHERE, &first), "nothing is sealed for it");
    let altered = Issued { token: format!("{}A", first.token), status: first.status };
    assert!(is_dead(&world, ABROAD, &altered));
    // A token of the region that is asked, for its own service, is not the other's affair.
    let theirs = world.exchange(ABROAD, "edsger");
    assert!(is_dead(&world, HOME, &theirs));

    assert_eq!(world.revoke(HOME, &first).status, 200);
    wait_for("the end of a token abroad", || is_dead(&world, ABROAD, &first).then_some(()));
    assert!(!is_dead(&world, ABROAD, &second) && !is_dead(&world, ABROAD, &third));
    // By the digest that the home region made for this reader.
    world.operate(HOME, "ada", &OF_PERSON).done();
    wait_for("the end of a person abroad", || is_dead(&world, ABROAD, &third).then_some(()));
    assert!(!is_dead(&world, ABROAD, &second));
    world.operate(HOME, "", &["region", REGIONS[HOME].name]).done();
    wait_for("the end of a region abroad", || is_dead(&world, ABROAD, &second).then_some(()));
    world.lab.finish();
}
