//! Time as a value. There is no `now()` here: whoever decides is told what time it is, so that a
//! decision can be repeated, simulated and audited.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z without leap seconds (RFC 7519 section 2, `NumericDate`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(u64);

/// A length of time in whole seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ttl(u32);

impl UnixTime {
    /// The moment `seconds` after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// This moment, later by `ttl`.
    #[must_use]
    pub const fn plus(self, ttl: Ttl) -> Self {
        Self(self.0.saturating_add(ttl.0 as u64))
    }

    /// This moment, earlier by `ttl`, not before the epoch.
    #[must_use]
    pub const fn minus(self, ttl: Ttl) -> Self {
        Self(self.0.saturating_sub(ttl.0 as u64))
    }

    /// Whole seconds from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Ttl {
    /// A length of `seconds`.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// Reads `90s`, `15m`, `2h` or `30d`.
    ///
    /// # Errors
    /// The text is no whole number with one of these units, or longer than 136 years.
    pub fn parse(text: &str) -> Result<Self, TtlError> {
        let error = || TtlError { text: text.chars().take(32).collect() };
        let unit = text.chars().last().ok_or_else(error)?;
        let digits = text.strip_suffix(unit).ok_or_else(error)?;
        let factor: u32 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(error()),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let count: u32 = digits.parse().map_err(|_| error())?;
        count.checked_mul(factor).map(Self).ok_or_else(error)
    }
}

/// Why a length of time was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no length of time: write a whole number and s, m, h or d, as in `90s` or `30d`"
)]
pub struct TtlError {
    text: String,
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_four_units() {
        let seconds = |text| Ttl::parse(text).unwrap().seconds();
        assert_eq!(seconds("90s"), 90);
        assert_eq!(seconds("15m"), 900);
        assert_eq!(seconds("2h"), 7_200);
        assert_eq!(seconds("30d"), 2_592_000);
    }

    #[test]
    fn refuses_what_is_no_length_of_time() {
        for text in ["", "s", "10", "-1s", "1.5h", "+1s", " 1s", "1 s", "9999999999d", "1w", "1é"]
        {
            assert!(Ttl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let hour = Ttl::from_seconds(3_600);
        assert_eq!(UnixTime::from_seconds(5).minus(hour).seconds(), 0);
        assert_eq!(UnixTime::from_seconds(u64::MAX).plus(hour).seconds(), u64::MAX);
        assert_eq!(UnixTime::from_seconds(5).since(UnixTime::from_seconds(9)), 0);
    }
}
