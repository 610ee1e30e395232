//! Keys of resources and clients.

use super::{
    super::shape::{Kind, Shape, defaulted, optional, required},
    TEXTS,
    node::RATE,
};

pub(super) static RESOURCE: Shape = Shape {
    fields: &[
        required("id", Kind::Text, "`resource` of a request and `aud` of its tokens: a URI."),
        optional("audience", Kind::Text, "A short name by which `audience` may ask for it."),
        optional("scopes", TEXTS, "Scopes that it knows. None by default."),
        optional("claims", TEXTS, "Claims that it gets, by their names here. None by default."),
        optional("introspect_as", TEXTS, "Clients that may ask about tokens for it."),
        optional(
            "introspect_in",
            TEXTS,
            "Other regions that may be asked about tokens for it; at most 4. They answer members of \
             the protocol only, never claims. None by default.",
        ),
        defaulted(
            "sector",
            Kind::Name,
            "default",
            "Services of one sector know a person by the same `sub`; another sector separates.",
        ),
        optional("tenant", Kind::Name, "The only tenant whose people's tokens it accepts."),
        optional("ttl", Kind::Duration, "Lifetime of its tokens; at most 1h."),
        optional("acr", Kind::Text, "Weakest authentication context that it accepts."),
        optional("auth_age_max", Kind::Duration, "Oldest login that it accepts."),
        defaulted(
            "require_sender_constraint",
            Kind::Flag,
            "false",
            "Whether it takes only tokens that are bound to a key.",
        ),
        optional(
            "max_staleness",
            Kind::Duration,
            "Age at which the revocation view is stale for its tokens. By default \
             revocation.max_staleness; never longer.",
        ),
        optional(
            "on_stale",
            Kind::Choice(&["local", "refuse"]),
            "\"refuse\": nobody is served with a stale view. By default revocation.on_stale; never \
             laxer.",
        ),
        optional(
            "local_max",
            Kind::Duration,
            "Age of the view at which its tokens are refused to the region's own people as well. By \
             default revocation.local_max; never longer.",
        ),
    ],
};

pub(super) static CLIENT: Shape = Shape {
    fields: &[
        required("id", Kind::Text, "Its `client_id`, unique in the federation."),
        required("auth", Kind::Table(&AUTH), "How it proves who it is: exactly one way."),
        required(
            "grants",
            Kind::List(&Kind::Choice(&["token-exchange", "jwt-bearer"])),
            "What it may ask for. Empty: it only asks about tokens.",
        ),
        optional("resources", TEXTS, "Resources that it may get tokens for. None by default."),
        optional("transfers", TEXTS, "Transfer rules that it may use. None by default."),
        optional(
            "upstream_ids",
            TEXTS,
            "Its names in global tokens: one must be the token's audience or party. By default its \
             `id`; \"*\" accepts every token of the federation.",
        ),
        defaulted(
            "acts_as",
            Kind::Choice(&["delegate", "subject"]),
            "delegate",
            "\"delegate\": tokens name it in `act`. \"subject\": they speak of the person alone.",
        ),
        optional("tenant", Kind::Name, "The only tenant for whose people it gets tokens."),
        optional("rate", Kind::Table(&RATE), "Requests that it may make. By default limits.rate."),
    ],
};

static AUTH: Shape = Shape {
    fields: &[
        optional(
            "private_key_jwt",
            Kind::Text,
            "File with its public keys as a JWK set; it signs assertions with a private one.",
        ),
        optional(
            "secret_hash_file",
            Kind::Text,
            "File with one or two salted hashes of its secret, one a line, as `exequatur client \
             secret` prints them.",
        ),
        optional("secret_sha256", TEXTS, "The same hashes in place."),
        defaulted(
            "post",
            Kind::Flag,
            "false",
            "Whether its secret may also come in the body (`client_secret_post`).",
        ),
        defaulted(
            "assertion_audience",
            Kind::Choice(&["issuer", "issuer-or-token-endpoint"]),
            "issuer",
            "Which `aud` its assertions may have. The second is for libraries that still send the \
             token endpoint.",
        ),
        optional(
            "algorithms",
            Kind::List(&Kind::Choice(&["ES256", "EdDSA", "PS256", "RS256"])),
            "Signature algorithms of its assertions. By default all that its keys can verify.",
        ),
    ],
};
