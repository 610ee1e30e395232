//! The claims of a signed list (draft section 5.1) and the address of a list.

use serde_json::{Value, json};

use super::{StatusArray, StatusListError};
use crate::{
    revocation::ListId,
    time::{Ttl, UnixTime},
};

/// Media type of a signed list.
pub const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// Where the list with this id is read. Tokens of the list carry the same text, byte for byte.
#[must_use]
pub fn uri(issuer: &str, list: ListId) -> String {
    format!("{issuer}/statuslists/{list}")
}

/// One publication of one list.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The region's issuer.
    pub issuer: &'a str,
    /// The list.
    pub list: ListId,
    /// When it is signed.
    pub issued: UnixTime,
    /// From when on nobody may use this copy.
    pub expires: UnixTime,
    /// How long a copy may be used before it is fetched anew.
    pub ttl: Ttl,
}

impl Publication<'_> {
    /// The payload to sign.
    ///
    /// # Errors
    /// [`StatusListError::Compress`].
    pub fn payload(&self, array: &StatusArray) -> Result<Value, StatusListError> {
        Ok(json!({
            "iss": self.issuer,
            "sub": uri(self.issuer, self.list),
            "iat": self.issued,
            "exp": self.expires,
            "ttl": self.ttl,
            "status_list": {
                "bits": array.size().bits(),
                "lst": array.encode()?,
                "aggregation_uri": format!("{}/statuslists", self.issuer),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::{
        StatusReference,
        status_list::{ARRAY_BYTES_MAX, Marks},
    };

    #[test]
    fn a_token_finds_itself_in_the_list_that_it_names() {
        let issuer = "https://eu.example/eu";
        let status = StatusReference { list: ListId::new(0xab), index: 77 };
        let mut marks = Marks::default();
        marks.add(77);
        let publication = Publication {
            issuer,
            list: status.list,
            issued: UnixTime::from_seconds(1_000),
            expires: UnixTime::from_seconds(1_300),
            ttl: Ttl::from_seconds(60),
        };
        let payload = publication.payload(&StatusArray::of_marks(&marks)).unwrap();
        let claim = &status.to_claim(issuer)["status_list"];
        assert_eq!(payload["sub"], claim["uri"]);
        assert_eq!([&payload["iat"], &payload["exp"], &payload["ttl"]], [1_000, 1_300, 60]);
        let list = &payload["status_list"];
        assert_eq!(list["aggregation_uri"], "https://eu.example/eu/statuslists");
        let bits = list["bits"].as_u64().unwrap();
        let lst = list["lst"].as_str().unwrap();
        let array = StatusArray::decode(bits, lst, ARRAY_BYTES_MAX).unwrap();
        assert_eq!(array.status(claim["idx"].as_u64().unwrap()), Some(1));
        assert_eq!(array.status(76), Some(0));
    }
}
