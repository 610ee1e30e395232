//! Keys of the node itself: where it listens, signs and stores.

use super::super::shape::{Kind, Shape, defaulted, optional, required};

/// Longest lifetime of an access token: offline verifiers learn of a revocation only when it ends.
pub(in crate::config) const ACCESS_TOKEN_SECONDS_MAX: u32 = 3_600;

const ALGORITHMS: Kind = Kind::Choice(&["ES256", "EdDSA", "PS256", "RS256"]);

pub(super) static LISTEN: Shape = Shape {
    fields: &[
        defaulted(
            "public",
            Kind::Text,
            "127.0.0.1:8443",
            "Address and port of the public OAuth endpoints.",
        ),
        optional("mtls", Kind::Text, "Address and port for clients that bring a certificate."),
        optional(
            "peer",
            Kind::Text,
            "Address and port for other nodes of the federation. Needed with `[cluster]`.",
        ),
        optional(
            "admin",
            Kind::Text,
            "Where the operator's service listens: `unix:/path` or address and port.",
        ),
        defaulted(
            "operations",
            Kind::Text,
            "127.0.0.1:9090",
            "Address and port of `/livez`, `/readyz` and `/metrics`, over plain HTTP.",
        ),
        optional(
            "tls",
            Kind::Table(&TLS),
            "Certificate of the public endpoints. Needed unless `plain_http` is set.",
        ),
        defaulted(
            "plain_http",
            Kind::Flag,
            "false",
            "Serve the public endpoints without TLS. Only for development, and only on loopback.",
        ),
    ],
};

pub(super) static TLS: Shape = Shape {
    fields: &[
        required("certificate", Kind::Text, "PEM file of the certificate chain, leaf first."),
        required("private_key", Kind::Text, "PEM file of its private key."),
    ],
};

pub(super) static KEYS: Shape = Shape {
    fields: &[
        required(
            "provider",
            Kind::Choice(&["pkcs11", "software"]),
            "Where signing keys live. `software` is for development; neither falls back to the \
             other.",
        ),
        optional("software", Kind::Table(&SOFTWARE), "Needed with `provider = \"software\"`."),
        optional("pkcs11", Kind::Table(&PKCS11), "Needed with `provider = \"pkcs11\"`."),
        optional("access_token", Kind::Table(&ACCESS_TOKEN), "The key that signs access tokens."),
    ],
};

static SOFTWARE: Shape = Shape {
    fields: &[
        required("file", Kind::Text, "The sealed key file; `exequatur init` makes it."),
        required("passphrase_file", Kind::Text, "File with the passphrase that opens it."),
    ],
};

static PKCS11: Shape = Shape {
    fields: &[
        required("module", Kind::Text, "The PKCS#11 library of the HSM."),
        required("slot", Kind::Text, "Label of the slot's token."),
        required("pin_file", Kind::Text, "File with the PIN of the slot's user."),
        defaulted(
            "sessions",
            Kind::Integer(1, 64),
            "4",
            "Sessions that sign at the same time, each on a thread of its own.",
        ),
    ],
};

static ACCESS_TOKEN: Shape = Shape {
    fields: &[
        defaulted("algorithm", ALGORITHMS, "ES256", "Signature algorithm of access tokens."),
        defaulted("rotate_every", Kind::Duration, "30d", "Age at which a key is replaced."),
        defaulted(
            "overlap",
            Kind::Duration,
            "2h",
            "How long a replaced key stays published: at least the longest token lifetime.",
        ),
    ],
};

pub(super) static STORE: Shape = Shape {
    fields: &[
        required(
            "url",
            Kind::Text,
            "`sqlite:/path/to/file` for one node, `postgres://user@host/database` for several. \
             Never with a password.",
        ),
        optional("password_file", Kind::Text, "File with the password of the database's user."),
    ],
};

pub(super) static AUDIT: Shape = Shape {
    fields: &[
        defaulted(
            "keep",
            Kind::Duration,
            "400d",
            "How long personal parts of records are kept. The tree stays verifiable afterwards.",
        ),
        optional("export", Kind::Table(&EXPORT), "Where records are sent. Nowhere by default."),
    ],
};

static EXPORT: Shape = Shape {
    fields: &[
        required("to", Kind::Text, "`syslog+tls://host:port` or `file:/path`."),
        defaulted(
            "format",
            Kind::Choice(&["json", "ocsf"]),
            "ocsf",
            "Form of the records that are sent.",
        ),
    ],
};

pub(super) static REVOCATION: Shape = Shape {
    fields: &[
        defaulted(
            "max_staleness",
            Kind::Duration,
            "10s",
            "Age at which the revocation view is stale: what crosses a border is then refused.",
        ),
        defaulted(
            "on_stale",
            Kind::Choice(&["local", "refuse"]),
            "local",
            "Whether this region's own people are still served with a stale view.",
        ),
        defaulted(
            "stale_ttl",
            Kind::Duration,
            "60s",
            "Longest lifetime of tokens issued meanwhile; at most 1h.",
        ),
        defaulted(
            "local_max",
            Kind::Duration,
            "1h",
            "Age of the view at which that ends and everything is refused; at most 24h.",
        ),
    ],
};

pub(super) static STATUS_LIST: Shape = Shape {
    fields: &[
        defaulted(
            "ttl",
            Kind::Duration,
            "60s",
            "How long a service may use a status list before it fetches it anew; at most 1h. A \
             copy that is five times as old may not be used at all.",
        ),
        defaulted(
            "publish_every",
            Kind::Duration,
            "10s",
            "How often lists that changed are published; at most 60s, and no longer than `ttl`.",
        ),
    ],
};

pub(super) static LIMITS: Shape = Shape {
    fields: &[
        defaulted(
            "access_token_ttl",
            Kind::Duration,
            "300s",
            "Lifetime of an access token where the resource names none; at most 1h.",
        ),
        defaulted(
            "connections",
            Kind::Integer(1, 100_000),
            "4096",
            "Connections to the public endpoints at the same time.",
        ),
        defaulted(
            "requests_in_flight",
            Kind::Integer(1, 100_000),
            "1024",
            "Requests that are worked on at the same time; more are refused with 503.",
        ),
        optional(
            "rate",
            Kind::Table(&RATE),
            "Requests that a client may make where its own table names no rate.",
        ),
    ],
};

pub(super) static RATE: Shape = Shape {
    fields: &[
        defaulted(
            "per_second",
            Kind::Integer(1, 1_000_000),
            "1000",
            "Requests a second, on average.",
        ),
        defaulted("burst", Kind::Integer(1, 1_000_000), "2000", "Requests at once."),
    ],
};
