//! Small records that are no keys, kept in the slot as private data objects, so that they are not
//! lost or restored together with a disk. Knows nothing of what stands in them.

use std::sync::Arc;

use cryptoki::{
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};

use super::{
    super::KeyStoreError,
    context::{Access, LiveSession},
    device::DeviceError,
    slot::OpenSlot,
};

/// `CKA_APPLICATION` of every record of ours.
const APPLICATION: &[u8] = b"exequatur";

/// The records of a slot.
#[derive(Clone)]
pub struct SlotRecords {
    slot: Arc<OpenSlot>,
}

impl SlotRecords {
    pub(super) fn of(slot: &Arc<OpenSlot>) -> Self {
        Self { slot: Arc::clone(slot) }
    }

    /// Label of the slot.
    #[must_use]
    pub fn slot(&self) -> &str {
        self.slot.label()
    }

    /// Every record of this label: one, or two after a crash in the middle of [`Self::write`].
    ///
    /// # Errors
    /// The device does not answer.
    pub fn read(&self, label: &str) -> Result<Vec<Vec<u8>>, KeyStoreError> {
        let failed = |error: DeviceError| error.concerning(label, self.slot.label());
        let live = self.session(Access::Read, label)?;
        let session = live.enter().map_err(failed)?;
        let objects = find(&session, label).map_err(failed)?;
        objects.into_iter().map(|object| value(&session, object).map_err(failed)).collect()
    }

    /// Replaces the record of this label. The new one is there before the old one goes.
    ///
    /// # Errors
    /// The device does not answer, or keeps no data objects.
    pub fn write(&self, label: &str, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let failed = |error: DeviceError| error.concerning(label, self.slot.label());
        let live = self.session(Access::Write, label)?;
        let session = live.enter().map_err(failed)?;
        let old = find(&session, label).map_err(failed)?;
        let template = [
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Application(APPLICATION.into()),
            Attribute::Label(label.into()),
            Attribute::Value(bytes.into()),
        ];
        session.create_object(&template).map_err(|error| failed(error.into()))?;
        let destroy = |object| session.destroy_object(object).map_err(|error| failed(error.into()));
        old.into_iter().try_for_each(destroy)
    }

    fn session(&self, access: Access, label: &str) -> Result<LiveSession, KeyStoreError> {
        self.slot.session(access).map_err(|error| error.concerning(label, self.slot.label()))
    }
}

fn find(session: &Session, label: &str) -> Result<Vec<ObjectHandle>, DeviceError> {
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Application(APPLICATION.into()),
        Attribute::Label(label.into()),
    ];
    Ok(session.find_objects(&template)?)
}

fn value(session: &Session, object: ObjectHandle) -> Result<Vec<u8>, DeviceError> {
    let mut values = session.get_attributes(object, &[AttributeType::Value])?;
    match values.pop() {
        Some(Attribute::Value(value)) => Ok(value),
        _ => Ok(Vec::new()),
    }
}
