//! The copy of all revocations that a node reads on every decision: what the federation agreed on,
//! of all regions, and what holds here on top of it.
//!
//! A view is a handful of shared tables: making one copies no row, and one that was taken does not
//! change.

use std::sync::Arc;

use super::{
    ListId, ListView, Login, Marks, Revocable, Revocation, Standing, StatusReference,
    lists::all_lists,
};
use crate::{
    ledger::{CutRow, Ledger, Lix, Owner, RegionRow, Revoked, StatusTarget, Target},
    region::RegionNumber,
    time::UnixTime,
};

/// Everything that is revoked, as far as this node knows.
#[derive(Clone, Debug, Default)]
pub struct RevocationView {
    /// This region; `None` for one alone.
    own: Option<RegionNumber>,
    agreed: Revoked,
    /// What this node had on its disk when it started and may be agreed on.
    overlay: Arc<Marks>,
    /// What was asked for in this region.
    local: Arc<Marks>,
}

impl RevocationView {
    /// The view of a region that is alone.
    #[must_use]
    pub fn alone(local: Arc<Marks>) -> Self {
        Self { local, ..Self::default() }
    }

    /// The view of a node of region `own`.
    #[must_use]
    pub fn united(
        own: RegionNumber,
        ledger: &Ledger,
        overlay: Arc<Marks>,
        local: Arc<Marks>,
    ) -> Self {
        Self { own: Some(own), agreed: ledger.revoked(), overlay, local }
    }

    /// Whether a token is revoked: by its place, by anything else that a revocation can name, by
    /// what it was derived from, or with its region.
    #[must_use]
    pub fn is_revoked(&self, token: &Revocable<'_>, now: UnixTime) -> bool {
        let issuer = token.issuer.or(self.own);
        if self.local.cover(token, issuer) || self.overlay.cover(token, issuer) {
            return true;
        }
        let Some(issuer) = issuer else { return false };
        // A token was never issued later than what was derived from it: its node would have had to
        // know of the revocation.
        let ancestors = token.ancestors.iter().map(|ancestor| (ancestor.region, ancestor.status));
        let mut places = std::iter::once((issuer, token.status)).chain(ancestors);
        places.any(|(owner, status)| self.covers_place(owner, status, token.lix))
            || token.targets().any(|(owner, target)| {
                self.cut(owner, &target)
                    .is_some_and(|cut| cut.covers(token.lix) || is_blocked(cut, now))
            })
    }

    /// Whether a person who logged in so may get a token.
    #[must_use]
    pub fn login(&self, login: &Login, now: UnixTime) -> Standing {
        let local = self.local.login(login, now).max(self.overlay.login(login, now));
        let subject = login.subject.map_or(Standing::Free, |(owner, digest)| {
            self.agreed_standing((owner, Target::Subject(digest)), now, |cut| {
                login.is_before(cut.expires_at)
            })
        });
        let session = login.session.map_or(Standing::Free, |(owner, digest)| {
            self.agreed_standing((owner, Target::Session(digest)), now, |_| true)
        });
        local.max(subject).max(session)
    }

    /// Whether a client of a region may get tokens.
    #[must_use]
    pub fn client(&self, owner: RegionNumber, number: u32, now: UnixTime) -> Standing {
        self.target((owner, Target::Client(number)), now)
    }

    /// Whether a token may get a place in a list of this region.
    #[must_use]
    pub fn place(&self, list: ListId, now: UnixTime) -> Standing {
        self.own.map_or(Standing::Free, |own| self.target((own, Target::List(list)), now))
    }

    /// Whether a transfer rule of a region may be used.
    #[must_use]
    pub fn rule(&self, owner: RegionNumber, number: u32, now: UnixTime) -> Standing {
        self.target((owner, Target::TransferRule(number)), now)
    }

    /// What is revoked of the lists of this region, list by list in the order of their ids: every
    /// list of which anything is. What this node alone holds for revoked is revoked.
    pub fn own_lists(&self) -> impl Iterator<Item = ListView<'_>> {
        let owner = self.own_owner();
        let marks = [&*self.local, &*self.overlay];
        all_lists(owner, marks).into_iter().map(move |list| ListView::new(list, owner, marks))
    }

    /// What is revoked of one list of this region, which may be nothing.
    #[must_use]
    pub fn own_list(&self, list: ListId) -> ListView<'_> {
        ListView::new(list, self.own_owner(), [&self.local, &self.overlay])
    }

    /// How many single tokens are revoked, and how many other revocations there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let agreed = self.agreed.owners.values().map(|owner| {
            let cuts = owner.sessions.len() + owner.subjects.len();
            owner.indexes + (cuts + owner.clients.len() + owner.rules.len()) as u64
        });
        agreed.sum::<u64>() + self.local.len() + self.overlay.len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn own_owner(&self) -> Option<&Owner> {
        self.own.and_then(|own| self.agreed.owners.get(&own)).map(|owner| &**owner)
    }

    fn covers_place(&self, owner: RegionNumber, status: StatusReference, lix: Lix) -> bool {
        let StatusReference { list, index } = status;
        let revoked = self.agreed.owners.get(&owner);
        revoked.is_some_and(|revoked| revoked.covers(StatusTarget { list, index }, lix))
            || self.covers_region(owner, lix)
    }

    /// Before its genesis a ledger knows no region; afterwards, one that it does not know is none.
    fn covers_region(&self, region: RegionNumber, lix: Lix) -> bool {
        if self.agreed.regions.is_empty() {
            return false;
        }
        let revoked = |row: &RegionRow| row.revoked || row.cutoff.is_some_and(|cut| lix < cut);
        self.agreed.regions.get(&region).is_none_or(revoked)
    }

    fn cut(&self, owner: RegionNumber, target: &Target) -> Option<&CutRow> {
        self.agreed.owners.get(&owner)?.cut(target)
    }

    fn target(&self, target: (RegionNumber, Target), now: UnixTime) -> Standing {
        let [local, overlay] = [&self.local, &self.overlay].map(|marks| {
            // A cut-off says nothing of what is issued after it.
            marks.standing(target, now, |_| false)
        });
        local.max(overlay).max(self.agreed_standing(target, now, |_| false))
    }

    fn agreed_standing(
        &self,
        (owner, target): (RegionNumber, Target),
        now: UnixTime,
        logged_out: impl Fn(&CutRow) -> bool,
    ) -> Standing {
        match self.cut(owner, &target) {
            Some(cut) if is_blocked(cut, now) => Standing::Blocked,
            Some(cut) if logged_out(cut) => Standing::LoggedOut,
            Some(_) | None => Standing::Free,
        }
    }
}

fn is_blocked(cut: &CutRow, now: UnixTime) -> bool {
    cut.blocked_until.is_some_and(|until| now < until)
}

impl FromIterator<Revocation> for RevocationView {
    /// The view of a region that is alone, in which these tokens are revoked.
    fn from_iter<I: IntoIterator<Item = Revocation>>(revoked: I) -> Self {
        let mut marks = Marks::default();
        for revocation in revoked {
            marks.add_token(revocation);
        }
        Self::alone(Arc::new(marks))
    }
}
