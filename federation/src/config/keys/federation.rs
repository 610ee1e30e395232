//! Keys of `federation.toml`.

use super::{
    super::shape::{Kind, Shape, defaulted, optional, required},
    TEXTS,
};

/// Longest round trip: with it, a failover takes close to two minutes.
const RTT_MS_MAX: u32 = 5_000;

/// What all regions of a federation share.
pub(in crate::config) static FEDERATION: Shape = Shape {
    fields: &[
        required("federation", Kind::Table(&IDENTITY), "Which federation this is."),
        required("region", Kind::List(&Kind::Table(&REGION)), "A region of the federation."),
        required(
            "upstream",
            Kind::List(&Kind::Table(&UPSTREAM)),
            "A global identity provider, as far as all regions must agree about it.",
        ),
    ],
};

static IDENTITY: Shape = Shape {
    fields: &[
        required("name", Kind::Name, "The federation's name."),
        defaulted(
            "version",
            Kind::Integer(1, u32::MAX),
            "1",
            "Counted up by whoever changes the law in this file.",
        ),
        defaulted(
            "max_rtt_ms",
            Kind::Integer(1, RTT_MS_MAX),
            "250",
            "Longest round trip between nodes of two regions, in milliseconds: heartbeats and \
             elections follow it.",
        )
        .operational(),
    ],
};

static REGION: Shape = Shape {
    fields: &[
        required("name", Kind::Text, "The region's name."),
        required("jurisdiction", Kind::Text, "The legal unit that it lies in."),
        required("issuer", Kind::Text, "`iss` of every token issued there."),
        optional(
            "number",
            Kind::Integer(1, 65_535),
            "The region's number in the ledger, never given to another region. Needed once any \
             region has nodes.",
        ),
        optional(
            "identity",
            Kind::Text,
            "The public key that the region's proposals are verified with, as `exequatur init` \
             prints it. Needed to bootstrap the cluster.",
        ),
        optional(
            "ca",
            Kind::Text,
            "PEM file of the authority that certifies this region's nodes, from the directory of \
             federation.toml. Needed to bootstrap the cluster.",
        )
        .operational(),
        optional(
            "stand_ins",
            TEXTS,
            "Regions that may serve this region's people while it is evacuated. None by default.",
        ),
        defaulted(
            "witness",
            Kind::Flag,
            "true",
            "Whether it cosigns audit checkpoints of other regions.",
        ),
        defaulted(
            "prefer_leader",
            Kind::Flag,
            "false",
            "Whether the leader should be one of its nodes, if it can be.",
        )
        .operational(),
        optional(
            "node",
            Kind::List(&Kind::Table(&NODE)),
            "A node of the region, as `exequatur init` prints it.",
        )
        .operational(),
    ],
};

static NODE: Shape = Shape {
    fields: &[
        required("id", Kind::Text, "Its id: 16 hexadecimal digits, drawn by `exequatur init`."),
        required("address", Kind::Text, "Host and port of its `listen.peer`, as others reach it."),
        defaulted(
            "voter",
            Kind::Flag,
            "true",
            "Whether it is to vote. Voters are an odd number, in three regions or more, and none of \
             these has more than the others can spare.",
        ),
    ],
};

static UPSTREAM: Shape = Shape {
    fields: &[
        required("name", Kind::Name, "Its name in the regions' files."),
        required(
            "audience",
            TEXTS,
            "`aud` values that mark a token as meant for this federation: one must be there.",
        ),
        required("home_region", Kind::Table(&HOME), "Whose people these are."),
    ],
};

static HOME: Shape = Shape {
    fields: &[
        optional(
            "fixed",
            Kind::Text,
            "Every person of this provider is at home in this region. Either this or `from`.",
        ),
        optional(
            "from",
            Kind::Pointer,
            "The claim that tells the home region. A token without it is refused.",
        ),
        optional(
            "map",
            Kind::MapOf(&Kind::Text),
            "Value of that claim to region. A value that is not listed is refused.",
        ),
        defaulted(
            "services",
            Kind::Text,
            "refuse",
            "Where services are at home: \"here\" (wherever they come to), a region, or \"refuse\".",
        ),
    ],
};
