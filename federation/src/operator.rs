//! Operators of a node: who they are, and what they may do. Pure rules; how a certificate or a
//! socket proves who somebody is, and what an action does, is not known here.
//!
//! A role is given to an exact SAN URI (RFC 5280 section 4.2.1.6) of a certificate that chains to
//! the operators' authority, or to the owner of the node's Unix socket. Nobody else has one: also
//! the certificate of a node is only that of a stranger here, unless it is listed.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// The superuser, who can read and change everything of a node anyway.
const ROOT: u32 = 0;

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Read and act.
    Operator,
}

/// What an operator's service can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Show the federation as the node sees it.
    Status,
    /// Let a node join.
    Invite,
    /// Make a learner a voter.
    Promote,
    /// Make a voter a learner.
    Demote,
    /// Remove a node for ever.
    Remove,
    /// Hand leadership over.
    TransferLeader,
    /// Prepare the node to stop.
    Drain,
    /// Write a snapshot.
    Snapshot,
    /// Show an entry of the log, and with it what only pseudonyms hide.
    Entry,
    /// Revoke a token, session, person, client, list or region, or end a block.
    Revoke,
}

/// Somebody with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    name: String,
    role: Role,
}

/// Which SAN URI has which role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Role>);

/// Why somebody has no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRole {
    /// No certificate came.
    #[error("no client certificate came: connect with one of the operators' authority")]
    NoCertificate,
    /// The certificate's SAN is not exactly one URI.
    #[error("the certificate has {got} SAN URIs, and must have exactly one")]
    NotOneUri {
        /// How many there are.
        got: usize,
    },
    /// The SAN URI is not listed.
    #[error("the certificate's SAN URI has no role: list it in `admin.roles` of the region file")]
    NotListed,
    /// Another user of the machine.
    #[error("user {uid} is neither the node's own nor root")]
    OtherUser {
        /// Who connected.
        uid: u32,
    },
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Viewer, Self::Operator];

    /// The name in configuration files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

    /// Whether the role may do this.
    #[must_use]
    pub const fn may(self, action: Action) -> bool {
        match (self, action) {
            (Self::Operator, _) | (Self::Viewer, Action::Status) => true,
            (
                Self::Viewer,
                Action::Invite
                | Action::Promote
                | Action::Demote
                | Action::Remove
                | Action::TransferLeader
                | Action::Drain
                | Action::Snapshot
                | Action::Entry
                | Action::Revoke,
            ) => false,
        }
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 10] = [
        Self::Status,
        Self::Invite,
        Self::Promote,
        Self::Demote,
        Self::Remove,
        Self::TransferLeader,
        Self::Drain,
        Self::Snapshot,
        Self::Entry,
        Self::Revoke,
    ];

    /// The name in audit records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Invite => "invite",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Remove => "remove",
            Self::TransferLeader => "transfer_leader",
            Self::Drain => "drain",
            Self::Snapshot => "snapshot",
            Self::Entry => "entry",
            Self::Revoke => "revoke",
        }
    }
}

impl Operator {
    /// Whoever connected to the node's Unix socket as the user `uid`; `own` is the node's user.
    ///
    /// # Errors
    /// It is another user.
    pub fn local(uid: u32, own: u32) -> Result<Self, NoRole> {
        if uid != own && uid != ROOT {
            return Err(NoRole::OtherUser { uid });
        }
        Ok(Self { name: format!("unix:{uid}"), role: Role::Operator })
    }

    /// The SAN URI, or `unix:<uid>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may do.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }
}

impl Roles {
    /// These and no others.
    pub fn new(roles: impl IntoIterator<Item = (String, Role)>) -> Self {
        Self(roles.into_iter().collect())
    }

    /// Every SAN URI that has a role, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whoever proved to hold a certificate with these SAN URIs. More than one is refused, lest the
    /// role depend on their order.
    ///
    /// # Errors
    /// There is not exactly one, or it has no role.
    pub fn certified(&self, uris: &[&str]) -> Result<Operator, NoRole> {
        let [uri] = uris else { return Err(NoRole::NotOneUri { got: uris.len() }) };
        let role = *self.0.get(*uri).ok_or(NoRole::NotListed)?;
        Ok(Operator { name: (*uri).to_owned(), role })
    }
}

impl NoRole {
    /// The reason under which it is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "admin_no_certificate",
            Self::NotOneUri { .. } => "admin_not_one_uri",
            Self::NotListed => "admin_not_listed",
            Self::OtherUser { .. } => "admin_other_user",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "spiffe://example/operator/alice";
    const AUDITOR: &str = "spiffe://example/operator/audit";
    const NODE: &str = "spiffe://example/region/eu-central/node/0123456789abcdef";

    fn roles() -> Roles {
        Roles::new([(ALICE.to_owned(), Role::Operator), (AUDITOR.to_owned(), Role::Viewer)])
    }

    #[test]
    fn who_may_do_what() {
        let table = [
            (Action::Status, true, true),
            (Action::Invite, false, true),
            (Action::Promote, false, true),
            (Action::Demote, false, true),
            (Action::Remove, false, true),
            (Action::TransferLeader, false, true),
            (Action::Drain, false, true),
            (Action::Snapshot, false, true),
            (Action::Entry, false, true),
            (Action::Revoke, false, true),
        ];
        assert_eq!(table.map(|(action, ..)| action), Action::ALL);
        for (action, viewer, operator) in table {
            assert_eq!(Role::Viewer.may(action), viewer, "viewer {action}");
            assert_eq!(Role::Operator.may(action), operator, "operator {action}");
        }
    }

    #[test]
    fn a_role_belongs_to_an_exact_uri() {
        let found = |uri: &str| roles().certified(&[uri]).map(|o| (o.name().to_owned(), o.role()));
        assert_eq!(found(ALICE), Ok((ALICE.to_owned(), Role::Operator)));
        assert_eq!(found(AUDITOR), Ok((AUDITOR.to_owned(), Role::Viewer)));
        let near = [
            "",
            "spiffe://example/operator",
            "spiffe://example/operator/alice/",
            "spiffe://example/operator/Alice",
            "spiffe://example/operator/alice2",
            "spiffe://other/operator/alice",
            "SPIFFE://example/operator/alice",
            " spiffe://example/operator/alice",
        ];
        for uri in near {
            assert_eq!(found(uri), Err(NoRole::NotListed), "{uri}");
        }
    }

    #[test]
    fn a_certificate_names_exactly_one() {
        assert_eq!(roles().certified(&[]), Err(NoRole::NotOneUri { got: 0 }));
        assert_eq!(roles().certified(&[AUDITOR, ALICE]), Err(NoRole::NotOneUri { got: 2 }));
        assert_eq!(roles().certified(&[ALICE, ALICE]), Err(NoRole::NotOneUri { got: 2 }));
    }

    #[test]
    fn a_node_has_a_role_only_where_it_is_listed() {
        assert_eq!(roles().certified(&[NODE]), Err(NoRole::NotListed));
        let listed = Roles::new([(NODE.to_owned(), Role::Viewer)]);
        assert_eq!(listed.certified(&[NODE]).unwrap().role(), Role::Viewer);
    }

    #[test]
    fn the_socket_is_for_the_nodes_own_user_and_root() {
        let local = |uid| Operator::local(uid, 990).map(|o| (o.name().to_owned(), o.role()));
        assert_eq!(local(990), Ok(("unix:990".to_owned(), Role::Operator)));
        assert_eq!(local(0), Ok(("unix:0".to_owned(), Role::Operator)));
        for uid in [1, 989, 991, u32::MAX] {
            assert_eq!(local(uid), Err(NoRole::OtherUser { uid }));
        }
    }
}
