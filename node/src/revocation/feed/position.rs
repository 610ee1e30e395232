//! Where a client is in the feed, and how events are written.

use std::fmt::{self, Write as _};

use exequatur_federation::revocation::StatusReference;

/// The last event that a client has: an epoch, which is random and drawn whenever numbers begin
/// anew, and a number in it. As text it is the id of the event: `0123456789abcdef-42`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) epoch: u64,
    pub(super) number: u64,
}

impl Position {
    /// Reads an event's id. Anything else, however long, is no position.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.split_once('-')?;
        let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let decimal = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if epoch.len() != 16 || !epoch.bytes().all(hexadecimal) || !decimal {
            return None;
        }
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        Some(Self { epoch, number: number.parse().ok()? })
    }

    /// So many events earlier.
    pub(super) fn back(self, events: usize) -> Self {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        Self { number: self.number.saturating_sub(events), ..self }
    }

    /// One event later.
    pub(super) const fn forth(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.epoch, self.number)
    }
}

/// The event that tells a client to read the lists anew. `lists` is the beginning of their address,
/// which holds nothing that JSON escapes.
pub(super) fn write_reset(text: &mut String, at: Position) {
    // Writing to a text never fails.
    let _infallible = write!(text, "event: reset\nid: {at}\ndata: {{}}\n\n");
}

/// The event of one revoked token.
pub(super) fn write_event(text: &mut String, at: Position, lists: &str, status: StatusReference) {
    let StatusReference { list, index } = status;
    let _infallible = write!(
        text,
        "event: revoked\nid: {at}\ndata: {{\"list\":\"{lists}{list}\",\"index\":{index}}}\n\n"
    );
}

#[cfg(test)]
mod tests {
    use exequatur_federation::revocation::ListId;

    use super::*;

    #[test]
    fn a_position_survives_its_text_and_nothing_else_is_one() {
        let position = Position { epoch: 0xab, number: u64::MAX };
        assert_eq!(position.to_string(), "00000000000000ab-18446744073709551615");
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        let long = "9".repeat(10_000);
        for text in [
            "",
            "-",
            "00000000000000ab",
            "00000000000000ab-",
            "00000000000000AB-1",
            "0000000000000ab-1",
            "00000000000000ab-+1",
            "00000000000000ab--1",
            "00000000000000ab-18446744073709551616",
            &format!("00000000000000ab-{long}"),
            &long,
        ] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }

    #[test]
    fn events_are_written_as_the_documentation_shows_them() {
        let mut text = String::new();
        let at = Position { epoch: 1, number: 7 };
        write_reset(&mut text, at);
        let status = StatusReference { list: ListId::new(0xab), index: 5 };
        write_event(&mut text, at.forth(), "https://eu.example/statuslists/", status);
        let expected = "event: reset\nid: 0000000000000001-7\ndata: {}\n\n\
             event: revoked\nid: 0000000000000001-8\n\
             data: {\"list\":\"https://eu.example/statuslists/00000000000000ab\",\"index\":5}\n\n";
        assert_eq!(text, expected);
    }
}
