//! Keys of `federation.toml`.

use super::{
    super::shape::{Kind, Shape, defaulted, optional, required},
    TEXTS,
};

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

static IDENTITY: Shape =
    Shape { fields: &[required("name", Kind::Name, "The federation's name.")] };

static REGION: Shape = Shape {
    fields: &[
        required("name", Kind::Text, "The region's name."),
        required("jurisdiction", Kind::Text, "The legal unit that it lies in."),
        required("issuer", Kind::Text, "`iss` of every token issued there."),
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
