//! Whether anything may be issued to this client for this login: nothing is that a revocation covers
//! already, or might once it is agreed on.

use serde_json::Value;

use super::{RevocationFacts, sealing::digests};
use crate::{
    authenticate::AuthenticatedClient,
    law::Law,
    refusal::{self, Hint, Refusal},
    region::RegionNumber,
    revocation::{Login, Standing},
    time::{Ttl, UnixTime},
    verified::Admitted,
};

/// By how much a token may have been issued before its person logged in again, where the provider
/// names neither a session nor the time of the login.
const UNTIMED_SLACK: Ttl = Ttl::from_seconds(60);

/// Asks about the client, the subject and who acts for it. A region without a number is alone, and
/// nothing but single tokens is revoked there.
pub(super) fn check<'law>(
    law: &'law Law,
    client: &AuthenticatedClient<'law>,
    parties: [Option<&Admitted<'law>>; 2],
    facts: RevocationFacts<'_>,
) -> Result<(), Refusal> {
    let Some(here) = law.region_number() else { return Ok(()) };
    let of_client = facts.revocations.client(here, client.client().id.number(), facts.now);
    let of_list = facts.revocations.place(facts.status.list, facts.now);
    let logins = parties.into_iter().flatten().map(|party| login(here, party, facts));
    match logins.fold(of_client.max(of_list), Standing::max) {
        Standing::Free => Ok(()),
        Standing::Undecided => Err(refusal::REVOCATION_UNDECIDED.into()),
        Standing::Blocked if of_client == Standing::Blocked => Err(refusal::CLIENT_BLOCKED.into()),
        Standing::LoggedOut | Standing::Blocked => Err(Refusal {
            id: refusal::LOGIN_REVOKED,
            hint: Some(Hint::Authentication { acr_values: None, max_age: Some(0) }),
        }),
    }
}

/// What stands against a party, under whichever digest key it was revoked.
fn login(here: RegionNumber, party: &Admitted<'_>, facts: RevocationFacts<'_>) -> Standing {
    let time = |name| party.token.claims().members().get(name).and_then(Value::as_u64);
    let authenticated = time("auth_time");
    let untimed = authenticated.is_none() && party.session().is_none();
    // Where nobody tells when a login was, the token's own age stands for it.
    let authenticated = authenticated.or_else(|| time("iat")).unwrap_or_default();
    let asked = facts.keys.digest.all().map(|key| {
        let (subject, session) = digests(key, here, party);
        let login = Login {
            subject: Some((here, subject.fixed())),
            session: session.map(|session| (here, session.fixed())),
            authenticated: UnixTime::from_seconds(authenticated),
            clock_slack: if untimed { UNTIMED_SLACK } else { party.upstream.clock_slack },
        };
        facts.revocations.login(&login, facts.now)
    });
    asked.max().unwrap_or(Standing::Free)
}
