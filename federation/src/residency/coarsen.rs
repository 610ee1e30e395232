//! Making a value less exact. Each function takes one value of the global token and returns what
//! may be said instead, or why nothing may.
//!
//! Dates follow OpenID Connect Core section 5.1 (`birthdate`: `YYYY-MM-DD`, `YYYY`, or
//! `0000-MM-DD` for "year withheld"), addresses its section 5.1.1.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{Cause, Coarsening};
use crate::time::UnixTime;

/// What stands for a value that a list does not name.
const OTHER: &str = "other";

/// What a person said of their birth.
#[derive(Clone, Copy)]
struct Birth {
    year: i16,
    /// Missing where only the year is known: the last month then counts.
    month: i8,
}

/// Makes `value` less exact. `claims` is the payload it stands in.
pub(super) fn coarsened(
    coarsening: &Coarsening,
    value: &Value,
    claims: &Map<String, Value>,
    now: UnixTime,
) -> Result<Value, Cause> {
    match coarsening {
        Coarsening::AgeOver { years } => age_over(value, *years, now),
        Coarsening::Country { countries } => country(value, countries),
        Coarsening::EmailDomain { domains } => email_domain(value, domains, claims),
        Coarsening::PostalPrefix { prefixes } => postal_prefix(value, prefixes),
        Coarsening::Year => birth(value).map(|b| json!(b.year)),
    }
}

fn birth(value: &Value) -> Result<Birth, Cause> {
    let text = value.as_str().ok_or(Cause::WrongType)?;
    if text.len() == 4 {
        let year = text.parse().map_err(|_| Cause::Unreadable)?;
        return if year > 0 { Ok(Birth { year, month: 12 }) } else { Err(Cause::Unreadable) };
    }
    // jiff also reads `20080615`; the claim has one form.
    if text.len() != 10 {
        return Err(Cause::Unreadable);
    }
    let date: Date = text.parse().map_err(|_| Cause::Unreadable)?;
    if date.year() > 0 {
        Ok(Birth { year: date.year(), month: date.month() })
    } else {
        Err(Cause::Unreadable)
    }
}

/// The day of birth is not looked at: a birthday counts from the first of the month after it. So
/// the answer never changes within a month, and never says "old enough" too early.
fn age_over(value: &Value, years: u16, now: UnixTime) -> Result<Value, Cause> {
    let birth = birth(value)?;
    let seconds = i64::try_from(now.seconds()).map_err(|_| Cause::Unreadable)?;
    let now = Timestamp::from_second(seconds).map_err(|_| Cause::Unreadable)?;
    let today = TimeZone::UTC.to_datetime(now).date();
    let years = i32::from(years);
    let comes_of_age = (i32::from(birth.year) + years, birth.month);
    Ok(json!(comes_of_age < (i32::from(today.year()), today.month())))
}

fn email_domain(
    value: &Value,
    domains: &[String],
    claims: &Map<String, Value>,
) -> Result<Value, Cause> {
    if claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(Cause::Unverified);
    }
    let address = value.as_str().ok_or(Cause::WrongType)?;
    let (local, domain) = address.split_once('@').ok_or(Cause::Unreadable)?;
    if local.is_empty() || domain.is_empty() || domain.contains('@') {
        return Err(Cause::Unreadable);
    }
    let listed = domains.iter().find(|d| d.eq_ignore_ascii_case(domain));
    Ok(json!(listed.map_or(OTHER, String::as_str)))
}

fn country(value: &Value, countries: &[String]) -> Result<Value, Cause> {
    let code = member_or_text(value, "country")?.trim().to_ascii_uppercase();
    if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Cause::Unreadable);
    }
    if countries.is_empty() || countries.contains(&code) {
        return Ok(json!(code));
    }
    Ok(json!(OTHER))
}

fn postal_prefix(value: &Value, prefixes: &[String]) -> Result<Value, Cause> {
    let compact = |text: &str| text.replace([' ', '-'], "").to_ascii_uppercase();
    let code = compact(member_or_text(value, "postal_code")?);
    if code.is_empty() {
        return Err(Cause::Unreadable);
    }
    let listed = prefixes.iter().filter(|p| code.starts_with(&compact(p)));
    Ok(json!(listed.max_by_key(|p| p.len()).map_or(OTHER, String::as_str)))
}

/// The text itself, or the member of an OpenID Connect address.
fn member_or_text<'v>(value: &'v Value, member: &str) -> Result<&'v str, Cause> {
    match value {
        Value::Object(address) => match address.get(member) {
            Some(part) => part.as_str().ok_or(Cause::WrongType),
            None => Err(Cause::Absent),
        },
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(Cause::WrongType),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-06-20T00:00:00Z.
    const JUNE_20: u64 = 1_781_913_600;
    /// 2026-07-01T00:00:00Z.
    const JULY_1: u64 = 1_782_864_000;

    fn age_18(birthdate: &str, now: u64) -> Result<Value, Cause> {
        age_over(&json!(birthdate), 18, UnixTime::from_seconds(now))
    }

    #[test]
    fn a_birthday_counts_from_the_first_of_the_next_month() {
        assert_eq!(age_18("2008-06-15", JUNE_20), Ok(json!(false)));
        assert_eq!(age_18("2008-06-15", JULY_1 - 1), Ok(json!(false)));
        assert_eq!(age_18("2008-06-15", JULY_1), Ok(json!(true)));
        assert_eq!(age_18("2008-06-01", JUNE_20), Ok(json!(false)));
        assert_eq!(age_18("2008-05-31", JUNE_20), Ok(json!(true)));
    }

    #[test]
    fn nobody_is_called_old_enough_too_early() {
        assert_eq!(age_18("2008-06-30", JUNE_20), Ok(json!(false)));
        assert_eq!(age_18("2008", JULY_1), Ok(json!(false)));
        assert_eq!(age_18("2007", JULY_1), Ok(json!(true)));
        assert_eq!(age_18("2008-02-29", JUNE_20), Ok(json!(true)));
    }

    #[test]
    fn a_withheld_year_or_an_impossible_date_says_nothing() {
        for text in
            ["0000-06-15", "0000", "2007-02-29", "20080615", "15.06.2008", "", "2008-06", "٢٠٠٨"]
        {
            assert_eq!(age_18(text, JULY_1), Err(Cause::Unreadable), "{text}");
        }
        assert_eq!(birth(&json!(2008)).map(|b| b.year), Err(Cause::WrongType));
    }

    #[test]
    fn an_address_that_nobody_verified_has_no_domain() {
        let domains = ["example.com".to_owned()];
        let domain = |address: &str, verified: Value| {
            let claims = Map::from_iter([("email_verified".to_owned(), verified)]);
            email_domain(&json!(address), &domains, &claims)
        };
        assert_eq!(domain("ada@Example.com", json!(true)), Ok(json!("example.com")));
        assert_eq!(domain("ada@other.example", json!(true)), Ok(json!("other")));
        assert_eq!(domain("ada@sub.example.com", json!(true)), Ok(json!("other")));
        assert_eq!(domain("ada@example.com", json!(false)), Err(Cause::Unverified));
        assert_eq!(domain("ada@example.com", json!("true")), Err(Cause::Unverified));
        for text in ["ada", "@example.com", "ada@", "a@b@example.com"] {
            assert_eq!(domain(text, json!(true)), Err(Cause::Unreadable), "{text}");
        }
    }

    #[test]
    fn a_country_is_read_from_an_address_or_a_code() {
        let listed = ["DE".to_owned()];
        assert_eq!(country(&json!({"country": "de", "locality": "X"}), &listed), Ok(json!("DE")));
        assert_eq!(country(&json!("FR"), &listed), Ok(json!("other")));
        assert_eq!(country(&json!("FR"), &[]), Ok(json!("FR")));
        assert_eq!(country(&json!("Germany"), &[]), Err(Cause::Unreadable));
        assert_eq!(country(&json!({"locality": "X"}), &[]), Err(Cause::Absent));
        assert_eq!(country(&json!(["DE"]), &[]), Err(Cause::WrongType));
    }

    #[test]
    fn a_postal_code_becomes_its_longest_listed_prefix() {
        let listed = ["1".to_owned(), "10".to_owned(), "SW1".to_owned()];
        assert_eq!(postal_prefix(&json!("10115"), &listed), Ok(json!("10")));
        assert_eq!(postal_prefix(&json!({"postal_code": "sw1a 1aa"}), &listed), Ok(json!("SW1")));
        assert_eq!(postal_prefix(&json!("80331"), &listed), Ok(json!("other")));
        assert_eq!(postal_prefix(&json!(" "), &listed), Err(Cause::Unreadable));
    }
}
