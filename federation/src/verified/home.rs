//! Home region first: whether the subject of a token is at home here. Nothing but the home member
//! and the markers of services is read for that, and nothing is recorded.

use serde_json::Value;

use crate::{
    claims::GlobalClaims,
    law::Law,
    refusal::{self, Hint, Refusal},
    region::RegionId,
    trust::{PeopleHome, ServicesHome, Upstream},
};

/// Whether a token speaks for a service rather than for a person.
pub(super) fn is_service(upstream: &Upstream, claims: &GlobalClaims) -> bool {
    upstream.profile.service.iter().any(|m| m.holds(claims.members()))
}

/// Refuses whoever is at home in another region, and names that region's issuer.
pub(super) fn at_home(
    law: &Law,
    upstream: &Upstream,
    claims: &GlobalClaims,
    service: bool,
) -> Result<(), Refusal> {
    let home: &RegionId = match (service, &upstream.home.services, &upstream.home.people) {
        (true, ServicesHome::Here, _) => return Ok(()),
        (true, ServicesHome::Refuse, _) => return Err(refusal::SERVICE_NOT_ALLOWED.into()),
        (true, ServicesHome::Region(region), _) | (false, _, PeopleHome::Fixed(region)) => region,
        (false, _, PeopleHome::Claim { from, map }) => claims
            .at(from)
            .and_then(Value::as_str)
            .and_then(|value| map.get(value))
            .ok_or(refusal::HOME_REGION_UNKNOWN)?,
    };
    if *home == law.region {
        return Ok(());
    }
    let hint = law.region_issuers.get(home).map(|issuer| Hint::HomeIssuer(issuer.clone()));
    Err(Refusal { id: refusal::HOME_REGION_ELSEWHERE, hint })
}
