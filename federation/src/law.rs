//! The law of one region, compiled: everything from its configuration that a decision may use.
//!
//! It is made by `config` from files that were read elsewhere, is never changed afterwards, and is
//! swapped as a whole. Its digest stands in the record of every start and of every token.

use std::collections::BTreeMap;

use crate::{
    client::{Client, ClientId},
    freshness::Bounds,
    region::{Jurisdiction, RegionId, RegionNumber},
    residency::{ClaimRule, TransferRule},
    time::Ttl,
    trust::Upstream,
};

/// Everything a region's decisions go by.
#[derive(Clone, Debug)]
pub struct Law {
    /// The region.
    pub region: RegionId,
    /// Its legal unit.
    pub jurisdiction: Jurisdiction,
    /// `iss` of every token issued here, exactly.
    pub issuer: String,
    /// Issuers of all regions of the federation, this one included.
    pub region_issuers: BTreeMap<RegionId, String>,
    /// Numbers of the regions that have one, this one included.
    pub region_numbers: BTreeMap<RegionId, RegionNumber>,
    /// Global issuers by exact `iss`.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Claim rules in the order of the file.
    pub rules: Vec<ClaimRule>,
    /// Rules for borders, by id.
    pub transfers: BTreeMap<String, TransferRule>,
    /// Services that accept this region's tokens, by id.
    pub resources: BTreeMap<String, Resource>,
    /// Registered clients.
    pub clients: BTreeMap<ClientId, Client>,
    /// Lifetime of an access token where the resource says nothing.
    pub access_token_ttl: Ttl,
    /// How old the view of revocations may be where the resource says nothing.
    pub freshness: Bounds,
    /// SHA-256 over the region's and the federation's files and the files of clients that they name:
    /// names this law in audit records.
    pub digest: [u8; 32],
}

/// A service that accepts this region's tokens.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its identifier: `resource` of a request and `aud` of a token.
    pub id: String,
    /// A logical name under which `audience` may ask for it.
    pub audience: Option<String>,
    /// Scopes it knows.
    pub scopes: Vec<String>,
    /// Claims it gets, by their names here; no other.
    pub claims: Vec<String>,
    /// Clients that may introspect tokens for it.
    pub introspect_as: Vec<ClientId>,
    /// Other regions that may be asked about tokens for it; each has a number.
    pub introspect_in: Vec<RegionId>,
    /// Pseudonyms of people differ between sectors.
    pub sector: String,
    /// The tenant whose people's tokens it accepts.
    pub tenant: Option<String>,
    /// Lifetime of tokens for it.
    pub ttl: Option<Ttl>,
    /// Weakest authentication context it accepts.
    pub acr: Option<String>,
    /// Oldest authentication it accepts (`auth_time`).
    pub auth_age_max: Option<Ttl>,
    /// Whether it takes only sender-constrained tokens.
    pub require_sender_constraint: bool,
    /// How old the view of revocations may be where its tokens are concerned: the region's bounds, or
    /// stricter ones.
    pub freshness: Bounds,
}

impl Law {
    /// The resource that an `audience` or `resource` value names.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        let by_audience = || self.resources.values().find(|r| r.audience.as_deref() == Some(name));
        self.resources.get(name).or_else(by_audience)
    }

    /// The region's number; `None` in a federation without numbers.
    #[must_use]
    pub fn region_number(&self) -> Option<RegionNumber> {
        self.region_numbers.get(&self.region).copied()
    }

    /// Every other region that may be asked about a token of this one.
    #[must_use]
    pub fn foreign_readers(&self) -> BTreeMap<RegionNumber, RegionId> {
        let named = self.resources.values().flat_map(|resource| &resource.introspect_in);
        named.filter_map(|id| Some((*self.region_numbers.get(id)?, id.clone()))).collect()
    }

    /// The shortest age at which the view is stale for anybody: how often it is probed follows.
    #[must_use]
    pub fn staleness_min(&self) -> Ttl {
        let resources = self.resources.values().map(|resource| resource.freshness.max_staleness);
        resources.fold(self.freshness.max_staleness, Ttl::min)
    }

    /// URL of the token endpoint, as metadata publishes it.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.issuer)
    }
}
