//! Rules for borders: what may cross from this region to another, for whom and why.
//!
//! Border grants are issued by a later part of the project; the rules are read and checked now.

use std::collections::BTreeMap;

use crate::{
    client::ClientId,
    region::RegionId,
    time::{Ttl, UnixTime},
};

/// One `[[transfer]]` rule, compiled.
#[derive(Clone, Debug)]
pub struct TransferRule {
    /// Its id.
    pub id: String,
    /// Line of the rule in the region's file, from 1.
    pub line: usize,
    /// The region that the claims go to.
    pub to: RegionId,
    /// Clients that may use it: id here to id there.
    pub clients: BTreeMap<ClientId, ClientId>,
    /// Purposes that a client may name.
    pub purposes: Vec<String>,
    /// Why the transfer is lawful.
    pub legal_basis: LegalBasis,
    /// Claims that cross, by their names here.
    pub claims: Vec<String>,
    /// How narrow it is.
    pub limits: TransferLimits,
    /// Who answers for the rule: a role, not a person.
    pub owner: String,
}

/// Why a transfer is lawful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalBasis {
    /// A code of the closed list; it may leave the region.
    pub code: LegalBasisCode,
    /// Free text for the region's own register; it never leaves.
    pub note: Option<String>,
}

/// The closed list of reasons for a transfer (GDPR Articles 45 to 49 and their likes elsewhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegalBasisCode {
    /// The target's protection was found adequate.
    AdequacyDecision,
    /// Binding corporate rules.
    BindingCorporateRules,
    /// The person agreed explicitly.
    Consent,
    /// A contract with the person needs it.
    Contract,
    /// Both regions lie in one jurisdiction.
    SameJurisdiction,
    /// Standard contractual clauses.
    StandardClauses,
}

/// How narrow a transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// Weakest authentication context that suffices.
    pub acr: Option<String>,
    /// Lifetime of the token that the target region issues.
    pub ttl: Ttl,
    /// The first moment at which the rule no longer holds: the end of its last day in UTC.
    pub expires: UnixTime,
}

impl LegalBasisCode {
    /// Every code, in the order in which the documentation lists them.
    pub const ALL: [Self; 6] = [
        Self::AdequacyDecision,
        Self::StandardClauses,
        Self::BindingCorporateRules,
        Self::Contract,
        Self::Consent,
        Self::SameJurisdiction,
    ];

    /// The code in files and registers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdequacyDecision => "adequacy-decision",
            Self::BindingCorporateRules => "binding-corporate-rules",
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::SameJurisdiction => "same-jurisdiction",
            Self::StandardClauses => "standard-clauses",
        }
    }
}
