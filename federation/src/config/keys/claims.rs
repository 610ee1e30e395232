//! Keys of the rules for claims and borders.

use super::{
    super::shape::{Kind, Shape, defaulted, optional, required},
    POINTERS, TEXTS,
};

const SCALAR: Kind = Kind::Either(&[Kind::Text, Kind::Flag, Kind::Integer(0, u32::MAX)]);

pub(super) static CLAIM: Shape = Shape {
    fields: &[
        optional("upstream", Kind::Name, "The provider it is for; needed when there are several."),
        optional("from", Kind::Pointer, "Where the claim stands. Either this or `first_of`."),
        optional("first_of", POINTERS, "Where it may stand: the first place with a value counts."),
        required(
            "class",
            Kind::Choice(&[
                "identity",
                "contact",
                "location",
                "organisation",
                "entitlement",
                "technical",
            ]),
            "What it says: who a person is, how to reach them, where they are, for whom they \
             work, what they may do, or nothing about them.",
        ),
        required(
            "action",
            Kind::Either(&[
                Kind::Choice(&["keep", "drop", "rename", "pseudonymise"]),
                Kind::Table(&ACTION),
            ]),
            "What is done with it. \"keep\": unchanged, under its own name. \"rename\": unchanged, \
             under the name `to`. \"drop\": nothing leaves. \"pseudonymise\": an HMAC that joins \
             only within one person.",
        ),
        optional("to", Kind::Text, "Its name here. By default its own."),
        optional("when", Kind::Table(&CONDITION), "What must hold for the rule to apply."),
        defaulted(
            "required",
            Kind::Flag,
            "false",
            "Whether a token is refused when the rule applies and releases nothing.",
        ),
        optional(
            "type",
            Kind::Choice(&["text", "number", "flag"]),
            "The only type that passes. Objects never do.",
        ),
        defaulted("bytes_max", Kind::Integer(1, 1024), "256", "Longest text, in bytes."),
        defaulted("items_max", Kind::Integer(1, 256), "64", "Most elements of an array."),
        optional(
            "each",
            Kind::Either(&[Kind::Flag, Kind::Pointer]),
            "The claim must be an array; the action sees each element, or the member of each that \
             a pointer names. An array is taken apart without it too; this refuses what is none.",
        ),
        optional("keys", Kind::Flag, "The claim must be an object; the action sees its names."),
        optional(
            "split",
            Kind::Choice(&["space", "comma"]),
            "The claim must be a text; the action sees its parts.",
        ),
    ],
};

static CONDITION: Shape = Shape {
    fields: &[
        required("at", Kind::Pointer, "Where the value stands."),
        required("equals", SCALAR, "What it must be."),
    ],
};

static ACTION: Shape = Shape {
    fields: &[
        optional("constant", SCALAR, "Release this value in its place."),
        optional(
            "map",
            Kind::MapOf(&Kind::Text),
            "Value of the token to value here. Values that are not listed are dropped.",
        ),
        optional(
            "pseudonymise",
            Kind::Choice(&["subject", "region"]),
            "An HMAC under the pairwise key: \"subject\" joins only within one person, \"region\" \
             joins everybody who has the value and is refused for contact and identity.",
        ),
        optional(
            "coarsen",
            Kind::Choice(&["age-over", "country", "email-domain", "postal-prefix", "year"]),
            "Make it less exact. `age-over`: a birth date to whether the person is at least \
             `years` old; a birthday counts from the first of the next month. `year`: a birth date \
             to its year. `email-domain`: a verified /email to one of `domains`. `country`: an \
             address or code to one of `countries`. `postal-prefix`: an address or code to one of \
             `prefixes`. What a list does not name becomes `other`.",
        ),
        optional("years", Kind::Integer(1, 120), "For `age-over`."),
        optional("domains", TEXTS, "For `email-domain`."),
        optional("countries", TEXTS, "For `country`; without it every two-letter code passes."),
        optional("prefixes", TEXTS, "For `postal-prefix`."),
    ],
};

pub(super) static TRANSFER: Shape = Shape {
    fields: &[
        required("id", Kind::Name, "Its name in clients, records and suspensions."),
        required("to", Kind::Text, "The region that claims go to."),
        required("clients", Kind::MapOf(&Kind::Text), "Who may use it: id here to id there."),
        required("purposes", Kind::List(&Kind::Name), "Purposes that a client may name."),
        required("legal_basis", Kind::Table(&LEGAL_BASIS), "Why it is lawful."),
        optional("claims", TEXTS, "Claims that cross, by their names here. None by default."),
        required("limits", Kind::Table(&TRANSFER_LIMITS), "How narrow it is."),
        required("owner", Kind::Name, "The role that answers for it; never a person's name."),
    ],
};

static LEGAL_BASIS: Shape = Shape {
    fields: &[
        required(
            "code",
            Kind::Choice(&[
                "adequacy-decision",
                "standard-clauses",
                "binding-corporate-rules",
                "contract",
                "consent",
                "same-jurisdiction",
            ]),
            "The reason, of a closed list; it may leave the region.",
        ),
        optional("note", Kind::Text, "Free text for this region's register; it never leaves."),
    ],
};

static TRANSFER_LIMITS: Shape = Shape {
    fields: &[
        optional("acr", Kind::Text, "Weakest authentication context that suffices."),
        defaulted("ttl", Kind::Duration, "300s", "Lifetime of the token that is issued there."),
        required("expires", Kind::Date, "Last day on which the rule holds (UTC)."),
    ],
};
