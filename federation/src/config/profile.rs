//! `[[upstream]] profile`: where a provider's tokens say what, as far as it differs from the preset.

use super::{diagnostic::Report, table::Table};
use crate::{
    claims::Pointer,
    trust::{Marker, Profile},
};

/// The preset's profile with what the `[[upstream]]` table says otherwise.
pub(super) fn compile(table: &Table<'_>, base: Profile, report: &mut Report<'_>) -> Profile {
    let Some(own) = table.table("profile") else { return base };
    for (key, why) in [("subject", "nobody"), ("audience", "no federation")] {
        if own.has(key) && own.pointers(key).is_empty() {
            let message = format!("without a place for `{key}` a token would be for {why}");
            report.error(&own.place_of(key), message, None);
        }
    }
    let typ = |key, base: Vec<String>| {
        if !own.has(key) {
            return base;
        }
        let short = |t: String| {
            let lower = t.to_ascii_lowercase();
            lower.strip_prefix("application/").map_or_else(|| lower.clone(), str::to_owned)
        };
        own.strings(key).into_iter().map(short).collect()
    };
    let pointers = |key, base: Vec<Pointer>| {
        if !own.has(key) {
            return base;
        }
        own.pointers(key).into_iter().map(|p| p.value).collect()
    };
    let mut markers = |key, base: Vec<Marker>| {
        if !own.has(key) {
            return base;
        }
        own.tables(key).iter().filter_map(|t| marker(t, report)).collect()
    };
    let absent = base.access_typ_absent;
    Profile {
        access_typ: typ("access_typ", base.access_typ),
        access_typ_absent: if own.has("access_typ_absent") {
            own.flag("access_typ_absent")
        } else {
            absent
        },
        id_typ: typ("id_typ", base.id_typ),
        access_markers: markers("access_markers", base.access_markers),
        id_markers: markers("id_markers", base.id_markers),
        audience: pointers("audience", base.audience),
        client: pointers("client", base.client),
        subject: pointers("subject", base.subject),
        session: pointers("session", base.session),
        scope: pointers("scope", base.scope),
        acr: pointers("acr", base.acr),
        service: markers("service", base.service),
        tenant: own.pointer("tenant").map(|p| p.value).or(base.tenant),
    }
}

fn marker(table: &Table<'_>, report: &mut Report<'_>) -> Option<Marker> {
    let facts = ["present", "equals", "starts_with", "ends_with", "same_as"];
    let [fact] = table.present(&facts).try_into().unwrap_or([""]);
    let at = table.pointer("at")?.value;
    let text = |key| table.text(key).map(|t| t.value);
    match fact {
        "present" if table.flag("present") => Some(Marker::Present(at)),
        "present" => Some(Marker::Absent(at)),
        "equals" => Some(Marker::Equals(at, text("equals")?)),
        "starts_with" => Some(Marker::StartsWith(at, text("starts_with")?)),
        "ends_with" => Some(Marker::EndsWith(at, text("ends_with")?)),
        "same_as" => Some(Marker::Same(at, table.pointer("same_as")?.value)),
        _ => {
            let hint = format!("beside `at`, write one of {}", facts.join(", "));
            report.error(&table.place, "a marker states exactly one fact", Some(hint));
            None
        }
    }
}
