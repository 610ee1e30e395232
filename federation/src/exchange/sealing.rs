//! What the regions must know of a token and its bearer must not: one trailer for each of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Surroundings, party::subject_of};
use crate::{
    client::Client,
    law::{Law, Resource},
    ledger::{List, Lix},
    refusal::{self, Refusal},
    region::RegionNumber,
    seal::{
        ClientReference, DigestKey, SealKeys, SessionDigest, SubjectDigest, TokenName, Trailer,
        empty_claim,
    },
    subject::Subject,
    verified::{Admitted, Party},
};

/// What a token is sealed with.
#[derive(Clone, Copy, Debug)]
pub struct Sealing<'a> {
    /// The region's keys. One for each region that may be asked about the token must be there.
    pub keys: &'a SealKeys,
    /// How far the node has applied the ledger by which the request is judged; zeros without one.
    pub lix: Lix,
}

/// The claim `exq`. In a rehearsal it has the right length and says nothing.
pub(super) fn claim(
    law: &Law,
    (client, resource, subject): (&Client, &Resource, &Admitted<'_>),
    facts: Surroundings<'_>,
) -> Result<Value, Refusal> {
    let Some(Sealing { keys, lix }) = facts.sealing else {
        return Ok(empty_claim(1 + resource.introspect_in.len()));
    };
    let home = law.region_number();
    let trailer = |reader: Option<RegionNumber>| {
        let (_, key) = keys.digest.newest();
        let digests = reader.map(|reader| digests(key, reader, subject));
        Trailer {
            lix,
            home,
            subject: digests.map(|(subject, _)| subject),
            session: digests.and_then(|(_, session)| session),
            client: ClientReference { region: home, number: client.id.number() },
            rule: None,
            ancestors: List::empty(),
        }
    };
    let numbers = resource.introspect_in.iter().filter_map(|id| law.region_numbers.get(id));
    let others: BTreeMap<_, _> = numbers.map(|number| (*number, trailer(Some(*number)))).collect();
    let id = facts.token_id.to_string();
    let token = TokenName { issuer: &law.issuer, id: &id };
    // A node that lacks a key does not start: what is left are failures of cryptography.
    keys.seal(token, &trailer(home), &others).map_err(|_| refusal::INTERNAL_FAULT.into())
}

/// The subject of a token and its login session, as one region reads them.
pub(super) fn digests(
    key: &DigestKey,
    reader: RegionNumber,
    admitted: &Admitted<'_>,
) -> (SubjectDigest, Option<SessionDigest>) {
    let subject = subject_of(admitted);
    let digest = match admitted.party {
        Party::Person(_) => key.subject(reader, &subject),
        Party::Service(_) => key.service(reader, &subject),
    };
    let session = admitted.session().map(|value| {
        let session = Subject { value, ..subject };
        key.session(reader, &session)
    });
    (digest, session)
}
