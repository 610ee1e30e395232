//! Keys of a global identity provider.

use super::{
    super::shape::{Kind, Shape, defaulted, optional, required},
    POINTERS, TEXTS,
};

/// Names of the presets, as the documentation lists them.
pub(in crate::config) const PRESETS: [&str; 6] =
    ["auth0", "cognito", "entra", "google", "keycloak", "okta"];

pub(super) static UPSTREAM: Shape = Shape {
    fields: &[
        required("name", Kind::Name, "Its name in rules, records and federation.toml."),
        optional(
            "preset",
            Kind::Choice(&PRESETS),
            "Which product it is: fills `algorithms` and `profile`. Without one, tokens must be \
             RFC 9068 access tokens or OpenID Connect ID tokens.",
        ),
        required(
            "issuer",
            Kind::Text,
            "The exact `iss` of its tokens: an https URL, or http on loopback for development. \
             With `tenants`, `{tenant}` stands for the tenant.",
        ),
        optional(
            "tenants",
            Kind::List(&Kind::Name),
            "Tenants that are accepted; each makes one exact issuer of the template.",
        ),
        optional(
            "algorithms",
            Kind::List(&Kind::Choice(&["ES256", "EdDSA", "PS256", "RS256"])),
            "Signature algorithms that are believed. By default the preset's, else RS256 and ES256.",
        ),
        optional("acr", Kind::Table(&ACR), "Its authentication context classes."),
        optional(
            "scopes",
            Kind::Either(&[Kind::Choice(&["token", "policy"]), Kind::MapOf(&TEXTS)]),
            "\"token\" (the default): a token must carry each scope by its name here. \"policy\": \
             its scopes mean nothing here, the resource's and the client's lists decide. A table: \
             scope of the token to scopes here.",
        ),
        optional(
            "jwks_uri",
            Kind::Text,
            "Where its keys are. By default what its discovery document says.",
        ),
        optional(
            "ca_file",
            Kind::Text,
            "PEM file of the certificate authorities that its host is checked against. By \
             default the system's.",
        ),
        defaulted(
            "clock_slack",
            Kind::Duration,
            "5s",
            "How far its clock may be ahead; at most 60s.",
        ),
        optional(
            "lifetime_max",
            Kind::Duration,
            "Longest lifetime (`exp` minus `iat`) of a token that is accepted. By default 29h with \
             the preset \"entra\", whose tokens live up to 28h, else 24h.",
        ),
        optional(
            "profile",
            Kind::Table(&PROFILE),
            "Where its tokens say what, as far as it differs from the preset.",
        ),
    ],
};

static ACR: Shape = Shape {
    fields: &[required(
        "order",
        TEXTS,
        "Known `acr` values, weakest first. A value that is not listed is weaker than all.",
    )],
};

static PROFILE: Shape = Shape {
    fields: &[
        optional("access_typ", TEXTS, "`typ` headers of access tokens, without `application/`."),
        optional("access_typ_absent", Kind::Flag, "Whether access tokens may have no `typ`."),
        optional("id_typ", TEXTS, "`typ` headers of ID tokens; absent is always accepted."),
        optional("access_markers", MARKERS, "Facts that all hold for access tokens alone."),
        optional("id_markers", MARKERS, "Facts that all hold for ID tokens alone."),
        optional("audience", POINTERS, "Where the audience of an access token stands."),
        optional("client", POINTERS, "Where the client that got the token stands."),
        optional("subject", POINTERS, "Where the subject stands."),
        optional("session", POINTERS, "Where the session stands."),
        optional("scope", POINTERS, "Where the scope stands: a text or an array."),
        optional("acr", POINTERS, "Where the authentication context class stands."),
        optional("service", MARKERS, "Facts of which one suffices for a service's token."),
        optional("tenant", Kind::Pointer, "The claim that must equal the tenant."),
    ],
};

const MARKERS: Kind = Kind::List(&Kind::Table(&MARKER));

static MARKER: Shape = Shape {
    fields: &[
        required("at", Kind::Pointer, "Where the fact is looked for. Exactly one key beside it:"),
        optional("present", Kind::Flag, "true: something is there. false: nothing is."),
        optional("equals", Kind::Text, "It is this text."),
        optional("starts_with", Kind::Text, "It is a text with this beginning."),
        optional("ends_with", Kind::Text, "It is a text with this ending."),
        optional("same_as", Kind::Pointer, "It equals what stands there."),
    ],
};
