//! Revocations that hold on this node although the ledger does not say so, or not yet: asked for
//! here and durable, but not known to be agreed on.
//!
//! They are pessimistic: while it is unknown at which entry a cut-off will take effect, it covers
//! every token. Marks are values; a change makes the next one, which shares every list that did not
//! change.

use std::{collections::BTreeMap, sync::Arc};

use roaring::RoaringBitmap;

use super::{ListId, Login, Revocable, Revocation, Standing, StatusReference};
use crate::{
    ledger::{Lix, Mode, Revoke, StatusTarget, Target},
    region::RegionNumber,
    time::UnixTime,
};

/// A set of such revocations.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    lists: BTreeMap<ListId, Arc<MarkedList>>,
    /// Everything but single tokens. Two requests may ask for the same, so each is kept.
    cuts: BTreeMap<(RegionNumber, Target), Vec<Mark>>,
}

/// The marked indexes of one list. List ids are 64 random bits: whose list it is need not be told.
#[derive(Clone, Debug, Default)]
pub(super) struct MarkedList {
    pub(super) indexes: RoaringBitmap,
    latest_expiry: UnixTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    mode: Mode,
    expires_at: UnixTime,
    /// `None` until it is decided: every token is covered. What was refused covers the tokens that
    /// were there when it was.
    before: Option<Lix>,
}

impl Mark {
    fn covers(&self, lix: Lix) -> bool {
        self.before.is_none_or(|before| lix < before)
    }

    fn is_undecided(&self) -> bool {
        self.before.is_none()
    }

    fn blocks(&self, now: UnixTime) -> bool {
        self.mode == Mode::Block && now < self.expires_at
    }
}

impl Marks {
    /// Adds a revocation of which is not known yet what the federation makes of it.
    pub fn add(&mut self, revoke: &Revoke) {
        if let Target::Status(status) = revoke.target {
            self.mark(status, revoke.expires_at);
        } else {
            self.push(revoke, None);
        }
    }

    /// Adds the revocation of a token of this region. Adding it again changes nothing but a later
    /// expiry.
    pub fn add_token(&mut self, revocation: Revocation) {
        let StatusReference { list, index } = revocation.status;
        self.mark(StatusTarget { list, index }, revocation.expires);
    }

    /// Drops a revocation that the ledger holds from now on.
    pub fn settle(&mut self, revoke: &Revoke) {
        let Target::Status(StatusTarget { list, index }) = revoke.target else {
            self.take(revoke);
            return;
        };
        let Some(marked) = self.lists.get_mut(&list) else { return };
        let marked = Arc::make_mut(marked);
        marked.indexes.remove(index);
        if marked.indexes.is_empty() {
            self.lists.remove(&list);
        }
    }

    /// Keeps a revocation that the federation refused, for what was issued before `at`.
    pub fn refuse(&mut self, revoke: &Revoke, at: Lix) {
        if !matches!(revoke.target, Target::Status(_)) {
            self.take(revoke);
            self.push(revoke, Some(at));
        }
    }

    /// Drops what has expired by `now`: of lists only those in which every marked token has.
    pub fn purge(&mut self, now: UnixTime) {
        self.lists.retain(|_, list| list.latest_expiry >= now);
        self.cuts.retain(|_, marks| {
            marks.retain(|mark| mark.expires_at >= now);
            !marks.is_empty()
        });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let tokens: u64 = self.lists.values().map(|list| list.indexes.len()).sum();
        self.cuts.values().fold(tokens, |sum, marks| sum + marks.len() as u64)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.cuts.is_empty()
    }

    /// Whether one of these covers a token that `issuer` issued; `None` in a region alone.
    pub(super) fn cover(&self, token: &Revocable<'_>, issuer: Option<RegionNumber>) -> bool {
        if self.is_empty() {
            return false;
        }
        let own = issuer.map(|region| (region, token.status));
        let ancestors = token.ancestors.iter().map(|ancestor| (ancestor.region, ancestor.status));
        self.marks(token.status)
            || token.ancestors.iter().any(|ancestor| self.marks(ancestor.status))
            || own.into_iter().chain(ancestors).any(|(owner, status)| {
                self.any(owner, Target::List(status.list), |mark| mark.covers(token.lix))
            })
            || token
                .targets()
                .any(|(owner, target)| self.any(owner, target, |mark| mark.covers(token.lix)))
    }

    /// What these say of a login.
    pub(super) fn login(&self, login: &Login, now: UnixTime) -> Standing {
        let subject = login.subject.map_or(Standing::Free, |(owner, digest)| {
            self.standing((owner, Target::Subject(digest)), now, |end| login.is_before(end))
        });
        let session = login.session.map_or(Standing::Free, |(owner, digest)| {
            self.standing((owner, Target::Session(digest)), now, |_| true)
        });
        subject.max(session)
    }

    /// What these say of a target for which something is to be issued; `logged_out` says of a
    /// refused cut-off, by its end, whether it concerns what asks.
    pub(super) fn standing(
        &self,
        target: (RegionNumber, Target),
        now: UnixTime,
        logged_out: impl Fn(UnixTime) -> bool,
    ) -> Standing {
        let of = |mark: &Mark| match mark {
            mark if mark.is_undecided() => Standing::Undecided,
            mark if mark.blocks(now) => Standing::Blocked,
            mark if logged_out(mark.expires_at) => Standing::LoggedOut,
            _ => Standing::Free,
        };
        let marks = self.cuts.get(&target).into_iter().flatten();
        marks.map(of).max().unwrap_or(Standing::Free)
    }

    /// Lists in which a token is marked.
    pub(super) fn lists(&self) -> impl Iterator<Item = ListId> {
        self.lists.keys().copied()
    }

    pub(super) fn list(&self, list: ListId) -> Option<&Arc<MarkedList>> {
        self.lists.get(&list)
    }

    fn marks(&self, status: StatusReference) -> bool {
        self.lists.get(&status.list).is_some_and(|list| list.indexes.contains(status.index))
    }

    fn any(&self, owner: RegionNumber, target: Target, is: impl Fn(&Mark) -> bool) -> bool {
        self.cuts.get(&(owner, target)).is_some_and(|marks| marks.iter().any(is))
    }

    fn mark(&mut self, status: StatusTarget, expires_at: UnixTime) {
        let list = Arc::make_mut(self.lists.entry(status.list).or_default());
        list.indexes.insert(status.index);
        list.latest_expiry = list.latest_expiry.max(expires_at);
    }

    fn push(&mut self, revoke: &Revoke, before: Option<Lix>) {
        let Revoke { owner, target, mode, expires_at } = *revoke;
        // What would end a block has no effect before it is agreed on.
        if mode == Mode::Lift {
            return;
        }
        self.cuts.entry((owner, target)).or_default().push(Mark { mode, expires_at, before });
    }

    /// Takes the undecided mark of a revocation away.
    fn take(&mut self, revoke: &Revoke) {
        let key = (revoke.owner, revoke.target);
        let Some(marks) = self.cuts.get_mut(&key) else { return };
        let mark = Mark { mode: revoke.mode, expires_at: revoke.expires_at, before: None };
        if let Some(place) = marks.iter().position(|other| *other == mark) {
            marks.swap_remove(place);
        }
        if marks.is_empty() {
            self.cuts.remove(&key);
        }
    }
}

impl FromIterator<Revoke> for Marks {
    fn from_iter<I: IntoIterator<Item = Revoke>>(revocations: I) -> Self {
        let mut marks = Self::default();
        for revoke in revocations {
            marks.add(&revoke);
        }
        marks
    }
}
