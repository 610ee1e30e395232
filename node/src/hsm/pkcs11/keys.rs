//! Keys as objects of a slot: made, found by label and id, read back and checked.
//!
//! A key pair of ours is labelled `exequatur REGION PURPOSE ALGORITHM`, its `CKA_ID` is the bytes
//! of its RFC 7638 thumbprint, and its private half was made inside the device, is sensitive and
//! was never extractable. What is found and is not all of that is refused, not repaired.

use cryptoki::{
    error::RvError,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use exequatur_federation::{
    jose::{Algorithm, PublicKey, from_base64url},
    region::RegionId,
};

use super::{
    super::{KeyStoreError, Purpose},
    device::{DeviceError, KeyReference},
    mechanisms,
};

/// How every label of ours begins.
const LABEL_PREFIX: &str = "exequatur ";
/// The label of a pair that is being made; after a crash it stays behind and is never found.
const LABEL_UNFINISHED: &str = "exequatur-unfinished";

/// The label of a key pair.
pub(super) fn label(region: &RegionId, purpose: Purpose, algorithm: Algorithm) -> String {
    format!("{LABEL_PREFIX}{region} {purpose} {}", algorithm.as_str())
}

/// The label of the key that wraps the region's secrets.
pub(super) fn store_label(region: &RegionId) -> String {
    format!("{LABEL_PREFIX}{region} store")
}

/// A region other than `region` whose keys are in the slot.
pub(super) fn foreign_region(
    session: &Session,
    region: &RegionId,
) -> Result<Option<String>, DeviceError> {
    let private = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
    for object in session.find_objects(&private)? {
        let label = bytes(session, object, AttributeType::Label)?;
        let label = String::from_utf8_lossy(&label);
        let owner = label.strip_prefix(LABEL_PREFIX).and_then(|rest| rest.split(' ').next());
        if let Some(owner) = owner.filter(|owner| *owner != region.as_str()) {
            return Ok(Some(owner.to_owned()));
        }
    }
    Ok(None)
}

/// The key pair of this label, with its public half; `None` if there is none.
pub(super) fn find(
    session: &Session,
    slot: &str,
    label: &str,
    algorithm: Algorithm,
) -> Result<Option<(KeyReference, PublicKey)>, KeyStoreError> {
    let concerning = |error: DeviceError| error.concerning(label, slot);
    let not_itself = |detail| KeyStoreError::NotItself { key: label.to_owned(), detail };
    let with_label = Attribute::Label(label.into());
    let Some(private) = only(session, slot, label, ObjectClass::PRIVATE_KEY, with_label)? else {
        return Ok(None);
    };
    let id = bytes(session, private, AttributeType::Id).map_err(concerning)?;
    let with_id = || Attribute::Id(id.clone());
    // A second private key under one id would be found instead of this one some day.
    only(session, slot, label, ObjectClass::PRIVATE_KEY, with_id())?;
    let public = only(session, slot, label, ObjectClass::PUBLIC_KEY, with_id())?;
    let public = public.ok_or_else(|| not_itself("its public half is not beside it"))?;
    let public = public_key(session, public, algorithm).map_err(concerning)?;
    let public = public.ok_or_else(|| not_itself("its public half is of another kind"))?;
    let id = thumbprint(&public).filter(|thumbprint| thumbprint.as_slice() == id);
    let id = id.ok_or_else(|| not_itself("its id is not the thumbprint of its public half"))?;
    check_attributes(session, private).map_err(concerning)?;
    Ok(Some((KeyReference { label: label.to_owned(), id, algorithm }, public)))
}

/// The handle, in this session, of a key that was found before.
pub(super) fn find_again(
    session: &Session,
    key: &KeyReference,
) -> Result<ObjectHandle, DeviceError> {
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(key.id.to_vec()),
        Attribute::Label(key.label.as_str().into()),
    ];
    let found = session.find_objects(&template)?;
    let [handle] = *found.as_slice() else { return Err(DeviceError::KeyAbsent) };
    check_attributes(session, handle)?;
    Ok(handle)
}

/// Makes a key pair of this label. Needs a session that may write.
pub(super) fn create(
    session: &Session,
    label: &str,
    algorithm: Algorithm,
) -> Result<(), DeviceError> {
    let (public, private) = mechanisms::generate(session, LABEL_UNFINISHED, algorithm)?;
    let key = public_key(session, public, algorithm)?;
    let id = key.as_ref().and_then(thumbprint);
    let unreadable = || DeviceError::Failed("the public half cannot be read".to_owned());
    let name = [Attribute::Id(id.ok_or_else(unreadable)?.into()), Attribute::Label(label.into())];
    // The private half last: only with its label can the pair be found.
    session.update_attributes(public, &name)?;
    Ok(session.update_attributes(private, &name)?)
}

/// The attributes of a key that was made inside the device and never leaves it.
pub(super) fn check_attributes(session: &Session, key: ObjectHandle) -> Result<(), DeviceError> {
    let kinds = [
        AttributeType::Sensitive,
        AttributeType::AlwaysSensitive,
        AttributeType::Extractable,
        AttributeType::NeverExtractable,
        AttributeType::Local,
    ];
    let values = session.get_attributes(key, &kinds)?;
    let expectations = [
        (Attribute::Sensitive(true), "it is not sensitive"),
        (Attribute::AlwaysSensitive(true), "it was not always sensitive"),
        (Attribute::Extractable(false), "it is extractable"),
        (Attribute::NeverExtractable(true), "it was extractable once"),
        (Attribute::Local(true), "it was not made inside the device"),
    ];
    for (expected, reason) in expectations {
        // An attribute that the device does not report counts as wrong.
        if !values.contains(&expected) {
            return Err(DeviceError::KeyExposed(reason));
        }
    }
    Ok(())
}

/// The only object of this class and attribute; `None` if there is none.
pub(super) fn only(
    session: &Session,
    slot: &str,
    label: &str,
    class: ObjectClass,
    attribute: Attribute,
) -> Result<Option<ObjectHandle>, KeyStoreError> {
    let found = session.find_objects(&[Attribute::Class(class), attribute]);
    let found = found.map_err(|error| DeviceError::from(error).concerning(label, slot))?;
    match *found.as_slice() {
        [] => Ok(None),
        [object] => Ok(Some(object)),
        _ => Err(KeyStoreError::Ambiguous { key: label.to_owned(), count: found.len() }),
    }
}

/// Reads a public half; `None` if it is not of the algorithm's kind.
fn public_key(
    session: &Session,
    object: ObjectHandle,
    algorithm: Algorithm,
) -> Result<Option<PublicKey>, DeviceError> {
    let read = |kind| bytes(session, object, kind);
    Ok(match algorithm {
        Algorithm::Es256 => point(&read(AttributeType::EcPoint)?, 65)
            .and_then(|point| PublicKey::p256_from_point(point).ok()),
        Algorithm::EdDsa => point(&read(AttributeType::EcPoint)?, 32)
            .and_then(|point| point.try_into().ok())
            .and_then(|point| PublicKey::ed25519(point).ok()),
        Algorithm::Ps256 | Algorithm::Rs256 => {
            let modulus = read(AttributeType::Modulus)?;
            let exponent = read(AttributeType::PublicExponent)?;
            PublicKey::rsa(without_leading_zeros(&modulus), without_leading_zeros(&exponent)).ok()
        }
    })
}

/// A curve point of `length` bytes, raw or wrapped in a DER OCTET STRING: devices differ.
fn point(value: &[u8], length: usize) -> Option<&[u8]> {
    const OCTET_STRING: u8 = 0x04;
    if value.len() == length {
        return Some(value);
    }
    let header = [OCTET_STRING, u8::try_from(length).ok()?];
    value.strip_prefix(&header).filter(|point| point.len() == length)
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn thumbprint(key: &PublicKey) -> Option<[u8; 32]> {
    from_base64url(key.thumbprint().as_str())?.try_into().ok()
}

/// One attribute that is a string of bytes; empty if the object has none such.
fn bytes(
    session: &Session,
    object: ObjectHandle,
    kind: AttributeType,
) -> Result<Vec<u8>, DeviceError> {
    let mut values = match session.get_attributes(object, &[kind]) {
        Ok(values) => values,
        Err(cryptoki::error::Error::Pkcs11(RvError::AttributeTypeInvalid, _)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(match values.pop() {
        Some(
            Attribute::EcPoint(value)
            | Attribute::Id(value)
            | Attribute::Label(value)
            | Attribute::Modulus(value)
            | Attribute::PublicExponent(value),
        ) => value,
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_raw_or_wrapped_and_nothing_else_is() {
        let raw: Vec<u8> = std::iter::once(0x04).chain(1..=64).collect();
        let wrapped = [&[0x04, 65], raw.as_slice()].concat();
        assert_eq!(point(&raw, 65), Some(raw.as_slice()));
        assert_eq!(point(&wrapped, 65), Some(raw.as_slice()));
        let longer = [wrapped.as_slice(), &[0]].concat();
        let other_tag = [&[0x03, 65], raw.as_slice()].concat();
        for bad in [&[][..], &raw[1..], &wrapped[..66], &longer, &other_tag, &[0x04]] {
            assert_eq!(point(bad, 65), None, "{} bytes", bad.len());
        }
        assert_eq!(point(&[7; 32], 32), Some(&[7; 32][..]));
        assert_eq!(point(&[&[0x04, 32][..], &[7; 32]].concat(), 32), Some(&[7; 32][..]));
    }

    #[test]
    fn labels_name_region_purpose_and_algorithm() {
        let region = RegionId::new("eu-central").unwrap();
        let label = label(&region, Purpose::AccessToken, Algorithm::Es256);
        assert_eq!(label, "exequatur eu-central access_token ES256");
        assert_eq!(store_label(&region), "exequatur eu-central store");
    }
}
