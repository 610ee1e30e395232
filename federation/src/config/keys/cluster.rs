//! Keys of the node's part in the ledger, and of its operators.

use super::{
    super::shape::{Kind, Shape, required},
    node::TLS,
};

pub(super) static CLUSTER: Shape = Shape {
    fields: &[
        required(
            "directory",
            Kind::Text,
            "Directory of the log, the snapshots and the node's key; `exequatur init` makes it. It \
             must never be in a backup: a node with an older directory is refused.",
        ),
        required(
            "anchor",
            Kind::Text,
            "File outside that directory, and best on another disk, that tells whether the \
             directory was wiped or restored.",
        ),
        required(
            "tls",
            Kind::Table(&TLS),
            "This node's certificate for other nodes, with the SAN URI \
             `spiffe://FEDERATION/region/REGION/node/ID`.",
        ),
    ],
};

pub(super) static ADMIN: Shape = Shape {
    fields: &[
        required("tls", Kind::Table(&TLS), "Certificate of the operator's service."),
        required("client_ca", Kind::Text, "PEM file of the authority that certifies operators."),
        required(
            "roles",
            Kind::MapOf(&Kind::Choice(&["operator", "viewer"])),
            "SAN URI of an operator's certificate to what it may do: `viewer` reads, `operator` \
             also changes. Whoever is not listed is refused.",
        ),
    ],
};
