//! `[[transfer]]`: what may cross one border.

use super::{diagnostic::Report, federation::Federation, table::Table};
use crate::{
    client::ClientId,
    region::RegionId,
    residency::{LegalBasis, LegalBasisCode, TransferLimits, TransferRule},
};

/// Longest lifetime of a token that another region issues by a transfer.
const TTL_SECONDS_MAX: u32 = 3_600;

/// Reads one `[[transfer]]` table of the region `here`.
pub(super) fn compile(
    table: &Table<'_>,
    here: Option<&RegionId>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Option<TransferRule> {
    let to = table.text("to").and_then(|to| federation.region(&to, report));
    if to.is_some() && to.as_ref() == here {
        report.error(&table.place_of("to"), "a transfer goes to another region", None);
    }
    let purposes = table.strings("purposes");
    if table.has("purposes") && purposes.is_empty() {
        report.error(&table.place_of("purposes"), "a transfer has at least one purpose", None);
    }
    let clients = table.pairs("clients").into_iter().filter_map(|(ours, theirs)| {
        Some((ClientId::new(&ours), ClientId::new(theirs.value.as_str()?)))
    });
    let clients = clients.collect();
    let legal_basis = legal_basis(table, here, to.as_ref(), federation, report);
    let limits = limits(table, report);
    Some(TransferRule {
        id: table.text("id")?.value,
        line: report.line(&table.place),
        to: to?,
        clients,
        purposes,
        legal_basis: legal_basis?,
        claims: table.strings("claims"),
        limits: limits?,
        owner: table.text("owner")?.value,
    })
}

fn legal_basis(
    table: &Table<'_>,
    here: Option<&RegionId>,
    to: Option<&RegionId>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Option<LegalBasis> {
    let basis = table.table("legal_basis")?;
    let code = basis.choice("code", &LegalBasisCode::ALL, LegalBasisCode::as_str)?;
    let jurisdiction = |region: Option<&RegionId>| {
        region.and_then(|r| federation.regions.get(r)).map(|r| r.jurisdiction.clone())
    };
    if code.value == LegalBasisCode::SameJurisdiction
        && to.is_some()
        && jurisdiction(here) != jurisdiction(to)
    {
        let message = "the two regions lie in different jurisdictions";
        report.error(&code.place, message, None);
    }
    Some(LegalBasis { code: code.value, note: basis.text("note").map(|n| n.value) })
}

fn limits(table: &Table<'_>, report: &mut Report<'_>) -> Option<TransferLimits> {
    let limits = table.table("limits")?;
    let ttl = limits.duration("ttl")?;
    if !(1..=TTL_SECONDS_MAX).contains(&ttl.value.seconds()) {
        report.error(&ttl.place, format!("the lifetime is not 1s to {TTL_SECONDS_MAX}s"), None);
    }
    Some(TransferLimits {
        acr: limits.text("acr").map(|a| a.value),
        ttl: ttl.value,
        expires: limits.end_of_day("expires")?,
    })
}
