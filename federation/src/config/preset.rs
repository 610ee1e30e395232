//! What known identity providers do differently: `typ`, the members that tell an access token
//! from an ID token, and where audience, client, subject, session, scope and `acr` stand.
//!
//! Sources are the providers' token references; fixture tokens stand in `testdata/presets`.

use crate::{
    claims::Pointer,
    jose::Algorithm,
    time::Ttl,
    trust::{Marker, Profile},
};

/// Longest lifetime of a token where the provider is not known to need more: what Auth0 gives by
/// default, and the most that Cognito and Okta can be set to.
const LIFETIME_MAX: Ttl = Ttl::from_seconds(24 * 3_600);
/// With continuous access evaluation Entra's access tokens live up to 28 hours, and their `iat`
/// lies five minutes before they are issued.
const ENTRA_LIFETIME_MAX: Ttl = Ttl::from_seconds(29 * 3_600);

/// What a preset fills.
#[derive(Clone, Debug)]
pub(super) struct Preset {
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) profile: Profile,
    pub(super) lifetime_max: Ttl,
}

/// The preset of this name; of `None` or an unknown name the plain standards.
pub(super) fn preset(name: Option<&str>) -> Preset {
    match name {
        Some("auth0") => rs256(auth0()),
        Some("cognito") => rs256(cognito()),
        Some("entra") => Preset { lifetime_max: ENTRA_LIFETIME_MAX, ..rs256(entra()) },
        Some("google") => rs256(google()),
        Some("keycloak") => Preset {
            algorithms: vec![
                Algorithm::Rs256,
                Algorithm::Es256,
                Algorithm::Ps256,
                Algorithm::EdDsa,
            ],
            profile: keycloak(),
            lifetime_max: LIFETIME_MAX,
        },
        Some("okta") => rs256(okta()),
        _ => Preset {
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
            profile: standard(),
            lifetime_max: LIFETIME_MAX,
        },
    }
}

/// The preset that an issuer's URL speaks for; only a suggestion, since a product may stand behind
/// any name.
#[must_use]
pub fn preset_for_issuer(issuer: &str) -> Option<&'static str> {
    let host = issuer.strip_prefix("https://")?.split(['/', ':']).next()?;
    let under = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    if host == "accounts.google.com" {
        Some("google")
    } else if host == "login.microsoftonline.com" {
        Some("entra")
    } else if under("okta.com") || under("oktapreview.com") {
        Some("okta")
    } else if under("auth0.com") {
        Some("auth0")
    } else if host.starts_with("cognito-idp.") && under("amazonaws.com") {
        Some("cognito")
    } else if issuer.contains("/realms/") {
        Some("keycloak")
    } else {
        None
    }
}

fn rs256(profile: Profile) -> Preset {
    Preset { algorithms: vec![Algorithm::Rs256], profile, lifetime_max: LIFETIME_MAX }
}

/// RFC 9068 access tokens and OpenID Connect ID tokens. A service's `sub` is its client
/// (RFC 9068 section 2.2).
fn standard() -> Profile {
    Profile {
        access_typ: texts(&["at+jwt"]),
        access_typ_absent: false,
        id_typ: texts(&["jwt"]),
        access_markers: present("/client_id"),
        id_markers: absent(&["/client_id", "/scope"]),
        audience: at(&["/aud"]),
        client: at(&["/client_id", "/azp"]),
        subject: at(&["/sub"]),
        session: at(&["/sid"]),
        scope: at(&["/scope"]),
        acr: at(&["/acr"]),
        service: same("/sub", "/client_id"),
        tenant: None,
    }
}

/// Header `typ` is `JWT`, or `at+jwt` where a client is set so; the payload's own `typ` tells the
/// kinds apart. Only the client-credentials grant writes `client_id` (`clientId` before version
/// 21). `preferred_username` is no marker: people can choose one that looks like a service's.
fn keycloak() -> Profile {
    Profile {
        access_typ: texts(&["jwt", "at+jwt"]),
        access_markers: equals("/typ", "Bearer"),
        id_markers: equals("/typ", "ID"),
        client: at(&["/azp", "/client_id"]),
        session: at(&["/sid", "/session_state"]),
        service: [present("/client_id"), present("/clientId")].concat(),
        ..standard()
    }
}

/// Tokens of version 2.0. Only access tokens carry `azp`; `sub` differs by application, so the
/// directory's `oid` is the subject. `idtyp` is an optional claim that must be switched on; without
/// it a service is told by its `sub`, which equals `oid` and for a person never does.
fn entra() -> Profile {
    Profile {
        access_typ: texts(&["jwt"]),
        access_markers: present("/azp"),
        id_markers: absent(&["/azp", "/scp"]),
        client: at(&["/azp"]),
        subject: at(&["/oid"]),
        scope: at(&["/scp"]),
        service: [equals("/idtyp", "app"), same("/sub", "/oid")].concat(),
        tenant: Pointer::new("/tid").ok(),
        ..standard()
    }
}

/// Tokens of a custom authorization server have no `typ`. `sub` of an access token is the login
/// name and `uid` the person's id, which is `sub` of an ID token; a service has no `uid`, and a
/// person may choose a login name that looks like a client's id.
fn okta() -> Profile {
    Profile {
        access_typ: texts(&["jwt", "at+jwt"]),
        access_typ_absent: true,
        access_markers: present("/cid"),
        id_markers: absent(&["/cid", "/scp"]),
        client: at(&["/cid"]),
        subject: at(&["/uid", "/sub"]),
        scope: at(&["/scp"]),
        service: vec![Marker::All([same("/sub", "/cid"), absent(&["/uid"])].concat())],
        ..standard()
    }
}

/// `typ` is `JWT`, or `at+jwt` with the RFC 9068 profile, which says `client_id` and not `azp`.
/// Only access tokens carry `scope`, and only where at least one scope was granted. A service's
/// `sub` is its client followed by `@clients`; a person whose name at an enterprise connection ends
/// so is none.
fn auth0() -> Profile {
    let service = [
        equals("/gty", "client-credentials"),
        same_with_ending("/sub", "/azp", "@clients"),
        same_with_ending("/sub", "/client_id", "@clients"),
    ];
    Profile {
        access_typ: texts(&["jwt", "at+jwt"]),
        access_markers: present("/scope"),
        id_markers: absent(&["/scope", "/gty", "/client_id"]),
        client: at(&["/azp", "/client_id"]),
        service: service.concat(),
        ..standard()
    }
}

/// No `typ`; access tokens have no `aud` unless a resource was asked for; `origin_jti` is alike in
/// all tokens of one login.
fn cognito() -> Profile {
    Profile {
        access_typ: texts(&["jwt", "at+jwt"]),
        access_typ_absent: true,
        access_markers: equals("/token_use", "access"),
        id_markers: equals("/token_use", "id"),
        audience: at(&["/aud", "/client_id"]),
        client: at(&["/client_id"]),
        session: at(&["/origin_jti"]),
        service: same("/sub", "/client_id"),
        ..standard()
    }
}

/// Access tokens are opaque, so no `typ` is accepted for one; ID tokens only. `azp` of a service is
/// its `sub` or its address. `email` says it too but is not looked at: it is a person's as well, and
/// is read only once that person is known to be at home here.
fn google() -> Profile {
    let service = [same("/sub", "/azp"), ends_with("/azp", ".gserviceaccount.com")];
    Profile {
        access_typ: Vec::new(),
        id_markers: absent(&["/scope"]),
        client: at(&["/azp"]),
        session: Vec::new(),
        service: service.concat(),
        ..standard()
    }
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|t| (*t).to_owned()).collect()
}

/// Pointers of this file; a test proves that each one parses.
fn at(all: &[&str]) -> Vec<Pointer> {
    all.iter().filter_map(|p| Pointer::new(p).ok()).collect()
}

fn present(pointer: &str) -> Vec<Marker> {
    at(&[pointer]).into_iter().map(Marker::Present).collect()
}

fn absent(pointers: &[&str]) -> Vec<Marker> {
    at(pointers).into_iter().map(Marker::Absent).collect()
}

fn equals(pointer: &str, text: &str) -> Vec<Marker> {
    at(&[pointer]).into_iter().map(|p| Marker::Equals(p, text.to_owned())).collect()
}

fn ends_with(pointer: &str, end: &str) -> Vec<Marker> {
    at(&[pointer]).into_iter().map(|p| Marker::EndsWith(p, end.to_owned())).collect()
}

fn same(a: &str, b: &str) -> Vec<Marker> {
    at(&[a]).into_iter().zip(at(&[b])).map(|(a, b)| Marker::Same(a, b)).collect()
}

fn same_with_ending(a: &str, b: &str, end: &str) -> Vec<Marker> {
    let pairs = at(&[a]).into_iter().zip(at(&[b]));
    pairs.map(|(a, b)| Marker::SameWithEnding(a, b, end.to_owned())).collect()
}

#[cfg(test)]
#[path = "preset_test.rs"]
mod tests;
