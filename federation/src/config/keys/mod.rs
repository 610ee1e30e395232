//! The keys of both configuration files: names, types, defaults and meanings. Data only.

mod claims;
mod cluster;
mod federation;
mod node;
mod parties;
mod upstream;

pub(super) use federation::FEDERATION;
pub(super) use node::ACCESS_TOKEN_SECONDS_MAX;
#[cfg(test)]
pub(super) use upstream::PRESETS;

use super::shape::{Kind, Shape, optional, required};

const TEXTS: Kind = Kind::List(&Kind::Text);
const POINTERS: Kind = Kind::List(&Kind::Pointer);

/// The file of one region.
pub(super) static REGION: Shape = Shape {
    fields: &[
        required("region", Kind::Table(&IDENTITY), "Which region this is."),
        optional("listen", Kind::Table(&node::LISTEN), "Where the node listens."),
        required("keys", Kind::Table(&node::KEYS), "Where the region's keys are."),
        required("store", Kind::Table(&node::STORE), "The region's database."),
        optional(
            "cluster",
            Kind::Table(&cluster::CLUSTER),
            "This node's part in the federation's ledger. Without it the region is alone.",
        ),
        optional(
            "admin",
            Kind::Table(&cluster::ADMIN),
            "Who may use the operator's service over TCP. Needed where `listen.admin` is an address.",
        ),
        optional("audit", Kind::Table(&node::AUDIT), "The audit log."),
        optional(
            "revocation",
            Kind::Table(&node::REVOCATION),
            "How fresh the revocation view must be.",
        ),
        optional(
            "status_list",
            Kind::Table(&node::STATUS_LIST),
            "Lists that tell services without a connection which tokens were revoked.",
        ),
        optional("limits", Kind::Table(&node::LIMITS), "Lifetimes and quotas."),
        optional(
            "upstream",
            Kind::List(&Kind::Table(&upstream::UPSTREAM)),
            "A global identity provider whose tokens are exchanged here. Its audience and the home \
             region of its people stand in federation.toml.",
        ),
        optional(
            "claim",
            Kind::List(&Kind::Table(&claims::CLAIM)),
            "A rule that lets one claim of a global token through. A claim without a rule is \
             dropped.",
        ),
        optional(
            "transfer",
            Kind::List(&Kind::Table(&claims::TRANSFER)),
            "What may cross one border, and why. Without a rule nothing crosses.",
        ),
        optional(
            "resource",
            Kind::List(&Kind::Table(&parties::RESOURCE)),
            "A service that accepts this region's tokens.",
        ),
        optional(
            "client",
            Kind::List(&Kind::Table(&parties::CLIENT)),
            "A program that asks for tokens, or about tokens.",
        ),
    ],
};

static IDENTITY: Shape = Shape {
    fields: &[
        required("name", Kind::Text, "The region's name, as in federation.toml."),
        required("jurisdiction", Kind::Text, "The legal unit that the region lies in."),
        required(
            "issuer",
            Kind::Text,
            "`iss` of every token issued here, exactly: an https URL without query, fragment or \
             trailing slash.",
        ),
    ],
};
