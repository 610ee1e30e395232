//! Whether a node speaks with another: the decision over the other's [`Hello`], on both ends alike.
//!
//! It is asked once for a connection. Whether the other is *still* a member is asked again at every
//! call, by whoever takes the call.

use super::{End, Greeting, Hello, HelloRefused, NodeId};
use crate::{
    jose::from_base64url,
    ledger::{Fixed, IdentityKey, KeyThumbprint, Member},
    region::RegionNumber,
};

/// Whom the certificate of a connection names, after its chain was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certified {
    /// The region whose authority signed it.
    pub region: RegionNumber,
    /// The node.
    pub node: NodeId,
}

/// What a node knows of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// `federation.toml` lists it in this region, and this node's ledger does not know it. The
    /// ledger may be behind: a node that slept through a change of voters would otherwise refuse the
    /// new ones, and with them its quorum. Its certificate is believed until the ledger has its key.
    Listed(RegionNumber),
    /// A member, by the ledger or by what was pinned.
    Member {
        /// Its region.
        region: RegionNumber,
        /// What is known of its identity key.
        key: KnownKey,
    },
    /// Nobody, or a node that has left.
    Stranger,
}

impl Standing {
    /// The region in which it has this standing.
    #[must_use]
    pub const fn region(&self) -> Option<RegionNumber> {
        match self {
            Self::Listed(region) | Self::Member { region, .. } => Some(*region),
            Self::Stranger => None,
        }
    }
}

impl From<Member> for Standing {
    fn from(Member { region, key }: Member) -> Self {
        Self::Member { region, key: KnownKey::Thumbprint(key) }
    }
}

/// What a node knows of another's identity key. Ledgers hold keys and memberships thumbprints; a
/// thumbprint is made only where a greeting is judged, since every call asks for a standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownKey {
    /// The key.
    Whole(IdentityKey),
    /// Its thumbprint.
    Thumbprint(KeyThumbprint),
}

impl KnownKey {
    fn is(&self, key: &IdentityKey) -> bool {
        match self {
            Self::Whole(known) => known == key,
            Self::Thumbprint(known) => thumbprint(key) == Some(*known),
        }
    }
}

/// What a node has witnessed of another. An entry counts only once it was committed while the other
/// held it: an entry that was never committed may be given up again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// How often it had started when it last greeted.
    pub starts: u64,
    /// The highest committed index that it acknowledged as durable.
    pub held: u64,
}

/// What a greeting is held against.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    /// What this node says of itself to the other; its `to` is whom it means to speak to.
    pub own: &'a Greeting,
    /// The feature level in force.
    pub level: u16,
    /// Whom the other's certificate names.
    pub certified: Certified,
    /// What this node knows of the other.
    pub standing: Standing,
    /// Whether the other's `federation.toml` is in force, or was announced and may come into force.
    pub law_announced: bool,
    /// What was witnessed of the other.
    pub witnessed: Witnessed,
}

impl Judgement<'_> {
    /// Whether to speak with the node that sent `hello` as the `end` of the connection that
    /// `channel` names.
    ///
    /// # Errors
    /// It is not to be spoken with. The first reason in the order of [`HelloRefused`]'s checks here.
    pub fn of(&self, hello: &Hello, end: End, channel: &Fixed<32>) -> Result<(), HelloRefused> {
        let (theirs, own) = (&hello.greeting, self.own);
        let certified = Certified { region: theirs.region, node: theirs.node };
        let belongs = self.standing.region() == Some(theirs.region);
        let checks = [
            (certified == self.certified, HelloRefused::Certificate),
            ((theirs.cluster, theirs.epoch) == (own.cluster, own.epoch), HelloRefused::Cluster),
            (theirs.genesis == own.genesis, HelloRefused::Genesis),
            (theirs.law == own.law || self.law_announced, HelloRefused::Law),
            (theirs.to == own.node && theirs.node == own.to, HelloRefused::Recipient),
            (belongs, HelloRefused::Member),
            (self.has_common_level(theirs), HelloRefused::Level),
            (!self.has_forgotten(theirs), HelloRefused::RolledBack),
        ];
        if let Some((_, refused)) = checks.iter().find(|(holds, _)| !holds) {
            return Err(*refused);
        }
        // Last, because it costs a hundred times what all others do together.
        let is_key = match self.standing {
            Standing::Member { key, .. } => key.is(&hello.key),
            Standing::Listed(_) => true,
            Standing::Stranger => false,
        };
        if is_key && hello.verify(end, channel) { Ok(()) } else { Err(HelloRefused::Proof) }
    }

    fn has_common_level(&self, theirs: &Greeting) -> bool {
        theirs.levels.contains(self.level)
            && theirs.levels.lowest <= self.own.levels.highest
            && self.own.levels.lowest <= theirs.levels.highest
    }

    const fn has_forgotten(&self, theirs: &Greeting) -> bool {
        theirs.starts < self.witnessed.starts || theirs.flushed < self.witnessed.held
    }
}

/// The thumbprint that a membership holds of a node's identity key; `None` if it is no key.
#[must_use]
pub fn thumbprint(key: &IdentityKey) -> Option<KeyThumbprint> {
    let text = key.to_public().ok()?.thumbprint();
    let bytes = from_base64url(text.as_str())?;
    Some(Fixed(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::membership::{Build, LEVELS, LevelRange};

    const CHANNEL: Fixed<32> = Fixed([9; 32]);

    struct Case {
        key: Ed25519KeyPair,
        theirs: Greeting,
        own: Greeting,
        standing: Standing,
        law_announced: bool,
        witnessed: Witnessed,
        certified: Certified,
        level: u16,
    }

    fn node(number: u64) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn region(number: u16) -> RegionNumber {
        RegionNumber::new(number).unwrap()
    }

    fn identity(key: &Ed25519KeyPair) -> IdentityKey {
        IdentityKey::Ed25519(Fixed(key.public_key().as_ref().try_into().unwrap()))
    }

    fn good() -> Case {
        let key = Ed25519KeyPair::generate().unwrap();
        let own = Greeting {
            cluster: Fixed([1; 16]),
            epoch: 3,
            genesis: Fixed([2; 32]),
            law: Fixed([3; 32]),
            region: region(1),
            node: node(11),
            to: node(22),
            levels: LEVELS,
            build: Build { major: 0, minor: 1, patch: 0 },
            starts: 1,
            flushed: 0,
        };
        let theirs = Greeting {
            region: region(2),
            node: node(22),
            to: node(11),
            starts: 5,
            flushed: 70,
            ..own
        };
        let member = Member { region: region(2), key: thumbprint(&identity(&key)).unwrap() };
        Case {
            key,
            theirs,
            own,
            standing: member.into(),
            law_announced: false,
            witnessed: Witnessed { starts: 5, held: 70 },
            certified: Certified { region: region(2), node: node(22) },
            level: 1,
        }
    }

    impl Case {
        fn hello(&self, end: End, channel: &Fixed<32>) -> Hello {
            let signature = self.key.sign(&self.theirs.signing_bytes(end, channel));
            Hello {
                greeting: self.theirs,
                key: identity(&self.key),
                signature: Fixed(signature.as_ref().try_into().unwrap()),
            }
        }

        fn judge(&self, hello: &Hello) -> Result<(), HelloRefused> {
            let judgement = Judgement {
                own: &self.own,
                level: self.level,
                certified: self.certified,
                standing: self.standing,
                law_announced: self.law_announced,
                witnessed: self.witnessed,
            };
            judgement.of(hello, End::Initiator, &CHANNEL)
        }

        fn verdict(&self) -> Result<(), HelloRefused> {
            self.judge(&self.hello(End::Initiator, &CHANNEL))
        }
    }

    fn after(change: impl FnOnce(&mut Case)) -> Result<(), HelloRefused> {
        let mut case = good();
        change(&mut case);
        case.verdict()
    }

    #[test]
    fn speaks_with_a_member_that_proves_its_key_on_this_connection() {
        assert_eq!(good().verdict(), Ok(()));
    }

    #[test]
    fn a_certificate_of_another_node_or_region_is_refused() {
        for (other_region, other_node) in [(1, 22), (2, 23)] {
            let other = Certified { region: region(other_region), node: node(other_node) };
            assert_eq!(after(|case| case.certified = other), Err(HelloRefused::Certificate));
        }
    }

    #[test]
    fn another_federation_and_another_epoch_of_it_are_refused() {
        assert_eq!(after(|c| c.theirs.cluster = Fixed([8; 16])), Err(HelloRefused::Cluster));
        assert_eq!(after(|c| c.theirs.epoch = 2), Err(HelloRefused::Cluster));
        assert_eq!(after(|c| c.theirs.genesis = Fixed([8; 32])), Err(HelloRefused::Genesis));
    }

    #[test]
    fn another_law_is_refused_unless_it_was_announced() {
        assert_eq!(after(|c| c.theirs.law = Fixed([8; 32])), Err(HelloRefused::Law));
        let announced = after(|c| (c.theirs.law, c.law_announced) = (Fixed([8; 32]), true));
        assert_eq!(announced, Ok(()));
    }

    #[test]
    fn a_greeting_for_another_node_or_from_another_than_was_dialled_is_refused() {
        assert_eq!(after(|c| c.theirs.to = node(12)), Err(HelloRefused::Recipient));
        assert_eq!(after(|c| c.own.to = node(23)), Err(HelloRefused::Recipient));
    }

    #[test]
    fn who_is_no_member_or_one_of_another_region_is_refused() {
        let standing = |standing| after(|c| c.standing = standing);
        let key = Fixed([1; 32]);
        for refused in [
            Standing::Stranger,
            Standing::Listed(region(3)),
            Member { region: region(3), key }.into(),
        ] {
            assert_eq!(standing(refused), Err(HelloRefused::Member), "{refused:?}");
        }
    }

    #[test]
    fn a_node_that_is_only_listed_must_still_prove_the_key_it_shows() {
        let mut case = good();
        case.standing = Standing::Listed(region(2));
        assert_eq!(case.verdict(), Ok(()));
        let replayed = case.hello(End::Initiator, &Fixed([10; 32]));
        assert_eq!(case.judge(&replayed), Err(HelloRefused::Proof));
    }

    #[test]
    fn another_key_than_the_members_is_refused() {
        let whole = |case: &Case| Standing::Member {
            region: region(2),
            key: KnownKey::Whole(identity(&case.key)),
        };
        assert_eq!(after(|c| c.standing = whole(c)), Ok(()));
        let other = || Ed25519KeyPair::generate().unwrap();
        assert_eq!(after(|c| c.key = other()), Err(HelloRefused::Proof));
        let refused = after(|c| (c.standing, c.key) = (whole(c), other()));
        assert_eq!(refused, Err(HelloRefused::Proof));
    }

    #[test]
    fn a_proof_of_another_connection_of_the_other_end_or_another_greeting_is_refused() {
        let case = good();
        let replayed = case.hello(End::Initiator, &Fixed([10; 32]));
        assert_eq!(case.judge(&replayed), Err(HelloRefused::Proof));
        let mirrored = case.hello(End::Responder, &CHANNEL);
        assert_eq!(case.judge(&mirrored), Err(HelloRefused::Proof));
        let mut changed = case.hello(End::Initiator, &CHANNEL);
        changed.greeting.flushed += 1;
        assert_eq!(case.judge(&changed), Err(HelloRefused::Proof));
    }

    #[test]
    fn a_node_without_the_level_in_force_is_refused() {
        let old = LevelRange { lowest: 1, highest: 1 };
        let new = LevelRange { lowest: 1, highest: 2 };
        let refused = after(|c| (c.level, c.own.levels, c.theirs.levels) = (2, new, old));
        assert_eq!(refused, Err(HelloRefused::Level));
        assert_eq!(after(|c| c.theirs.levels = new), Ok(()));
    }

    #[test]
    fn a_node_that_forgot_committed_entries_or_starts_is_refused() {
        assert_eq!(after(|c| c.theirs.flushed = 69), Err(HelloRefused::RolledBack));
        assert_eq!(after(|c| c.theirs.starts = 4), Err(HelloRefused::RolledBack));
        assert_eq!(after(|c| (c.theirs.starts, c.theirs.flushed) = (6, 71)), Ok(()));
    }
}
