//! `[[claim]]`: reads the rules and refuses those that would say too much.

use serde_json::Value;
use toml::de::DeValue;

use super::{
    action,
    check::integer,
    diagnostic::{Report, meant},
    table::{At, Table},
};
use crate::{
    claims::Pointer,
    residency::{
        Action, Bounds, ClaimClass, ClaimRule, Coarsening, Condition, Selector, Separator,
        ValueKind, is_linking_claim, is_protocol_claim,
    },
};

/// Longest name of a claim here.
const NAME_BYTES_MAX: usize = 128;

/// Reads one `[[claim]]` table. `upstreams` are the names of the region's providers.
pub(super) fn compile(
    table: &Table<'_>,
    upstreams: &[&str],
    report: &mut Report<'_>,
) -> Option<ClaimRule> {
    let class = table.choice("class", &ClaimClass::ALL, ClaimClass::as_str);
    let action = action::compile(table, class.as_ref().map(|c| c.value), report);
    let from = from(table, action.as_ref(), report);
    let selector = selector(table, report);
    let upstream = upstream(table, upstreams, report);
    let when = table.table("when").filter(|t| t.has("at")).and_then(|t| condition(&t));
    let bounds = Bounds {
        kind: table.choice("type", &KINDS, kind_name).map(|k| k.value),
        bytes_max: size(table.integer("bytes_max")),
        items_max: size(table.integer("items_max")),
    };
    let (action, from, selector) = (action?, from?, selector?);
    check_selector(table, &action, &selector, report);
    check_linking(table, &action, &from, &selector, report);
    check_email(table, &action, &from, report);
    let to = to(table, &action, &from, report)?;
    let required = table.flag("required");
    if required && action == Action::Drop {
        let message = "`required` has no meaning for a claim that is dropped";
        report.error(&table.place_of("required"), message, None);
    }
    Some(ClaimRule {
        line: report.line(&table.place),
        upstream: upstream?,
        from,
        class: class?.value,
        when,
        selector,
        bounds,
        action,
        to,
        required,
    })
}

/// Reports rules of one provider that write the same claim.
pub(super) fn check_targets(rules: &[(Table<'_>, ClaimRule)], report: &mut Report<'_>) {
    for (index, (table, rule)) in rules.iter().enumerate() {
        let same = |(_, other): &&(Table<'_>, ClaimRule)| {
            let both = other.upstream.is_none() || rule.upstream.is_none();
            let releases = other.action != Action::Drop && rule.action != Action::Drop;
            releases && other.to == rule.to && (both || other.upstream == rule.upstream)
        };
        if let Some((_, first)) = rules.iter().take(index).find(same) {
            let message = format!("the rule of line {} writes `{}` already", first.line, rule.to);
            let hint = "one claim has one rule: use `first_of` for several sources";
            report.error(&table.place_of("to"), message, Some(hint.to_owned()));
        }
    }
}

const KINDS: [ValueKind; 3] = [ValueKind::Text, ValueKind::Number, ValueKind::Flag];

const fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Flag => "flag",
        ValueKind::Number => "number",
        ValueKind::Text => "text",
    }
}

fn size(number: Option<u32>) -> usize {
    number.and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
}

fn from(
    table: &Table<'_>,
    action: Option<&Action>,
    report: &mut Report<'_>,
) -> Option<Vec<Pointer>> {
    let lone_constant = matches!(action, Some(Action::Constant(_)));
    match (table.has("from"), table.has("first_of")) {
        (true, false) => Some(vec![table.pointer("from")?.value]),
        (false, true) => {
            let places: Vec<Pointer> =
                table.pointers("first_of").into_iter().map(|p| p.value).collect();
            if places.is_empty() {
                report.error(&table.place_of("first_of"), "no place to read from", None);
                return None;
            }
            Some(places)
        }
        (false, false) if lone_constant => Some(Vec::new()),
        (both, _) => {
            let place = if both { table.place_of("first_of") } else { table.place.clone() };
            let hint = "write from = \"/claim\", or first_of = [\"/one\", \"/other\"]";
            let message = "exactly one of `from` and `first_of` says where the claim stands";
            report.error(&place, message, Some(hint.to_owned()));
            None
        }
    }
}

fn selector(table: &Table<'_>, report: &mut Report<'_>) -> Option<Selector> {
    let present = table.present(&["each", "keys", "split"]);
    if let [_, second, ..] = present.as_slice() {
        let message = "a rule takes a claim apart in one way: `each`, `keys` or `split`";
        report.error(&table.place_of(second), message, None);
        return None;
    }
    let is_true = |key| table.flag(key);
    let selector = match present.first().copied() {
        Some("each") if table.raw("each").is_some_and(|r| r.value.is_str()) => {
            Selector::Each(Some(table.pointer("each")?.value))
        }
        Some("each") if is_true("each") => Selector::Each(None),
        Some("keys") if is_true("keys") => Selector::Keys,
        Some("split") => match table.text("split")?.value.as_str() {
            "comma" => Selector::Split(Separator::Comma),
            _ => Selector::Split(Separator::Space),
        },
        _ => Selector::Whole,
    };
    Some(selector)
}

/// The upstream that the rule is for; `Some(None)` where the region has only one.
fn upstream(
    table: &Table<'_>,
    upstreams: &[&str],
    report: &mut Report<'_>,
) -> Option<Option<String>> {
    match table.text("upstream") {
        Some(name) if upstreams.contains(&name.value.as_str()) => Some(Some(name.value)),
        Some(name) => {
            let message = format!("`{}` is no upstream of this region", name.value);
            report.error(&name.place, message, meant(&name.value, upstreams));
            None
        }
        None if upstreams.len() > 1 && !table.has("upstream") => {
            let message = "the rule names no `upstream`, and the region has several";
            report.error(&table.place, message, meant("", upstreams));
            None
        }
        None => Some(None),
    }
}

fn condition(table: &Table<'_>) -> Option<Condition> {
    let equals = scalar(table.raw("equals")?.value)?;
    Some(Condition { at: table.pointer("at")?.value, equals })
}

/// A text, number or flag of the file as a JSON value.
pub(super) fn scalar(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Boolean(flag) => Some(Value::from(*flag)),
        DeValue::Integer(_) => integer(value).map(Value::from),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The name here: `to`, or the claim's own.
fn to(
    table: &Table<'_>,
    action: &Action,
    from: &[Pointer],
    report: &mut Report<'_>,
) -> Option<String> {
    let own = from.first().map(Pointer::last_member);
    let given = table.text("to");
    if let Some(problem) = naming_problem(action, own, given.as_ref()) {
        report.error(&table.place_of("to"), problem.0, Some(problem.1.to_owned()));
        return None;
    }
    let place = given.as_ref().map_or_else(|| table.place_of("from"), |t| t.place.clone());
    let to = given.map_or_else(|| own.unwrap_or_default().to_owned(), |t| t.value);
    if *action == Action::Drop {
        return Some(to);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    if to.len() > NAME_BYTES_MAX || !to.bytes().all(plain) {
        let message = format!("`{to}` cannot be a claim's name: use letters, digits, _ - . : /");
        report.error(&place, message, Some("name it with `to`".to_owned()));
        return None;
    }
    if is_protocol_claim(&to) {
        let message = format!("`{to}` is a claim of the protocol: no rule writes it");
        report.error(&place, message, Some("choose another name in `to`".to_owned()));
        return None;
    }
    Some(to)
}

fn naming_problem(
    action: &Action,
    own: Option<&str>,
    given: Option<&At<String>>,
) -> Option<(&'static str, &'static str)> {
    match (action, given) {
        (Action::Rename, None) => Some(("`rename` needs a name", "write to = \"name\"")),
        (Action::Keep, Some(to)) if own != Some(to.value.as_str()) => {
            Some(("`keep` keeps the claim's own name", "write action = \"rename\""))
        }
        (Action::Drop, Some(_)) => Some(("a dropped claim has no name here", "remove `to`")),
        (Action::Constant(_), None) if own.is_none() => {
            Some(("a constant without `from` needs a name", "write to = \"name\""))
        }
        _ => None,
    }
}

fn check_selector(
    table: &Table<'_>,
    action: &Action,
    selector: &Selector,
    report: &mut Report<'_>,
) {
    let whole = matches!(action, Action::Coarsen(_) | Action::Constant(_) | Action::Drop);
    if whole && *selector != Selector::Whole {
        let message = format!("`{}` reads the claim as a whole", action.as_str());
        let key = table.present(&["each", "keys", "split"]).first().copied().unwrap_or("each");
        report.error(&table.place_of(key), message, Some(format!("remove `{key}`")));
    }
}

fn check_linking(
    table: &Table<'_>,
    action: &Action,
    from: &[Pointer],
    selector: &Selector,
    report: &mut Report<'_>,
) {
    if !action.carries_value() {
        return;
    }
    let inner = match selector {
        Selector::Each(Some(inner)) => Some(inner),
        Selector::Each(None) | Selector::Keys | Selector::Split(_) | Selector::Whole => None,
    };
    let mut members = from.iter().chain(inner).flat_map(|p| p.members());
    if let Some(linking) = members.find(|m| is_linking_claim(m)) {
        let message = format!("`{linking}` is alike at every service: unchanged it links people");
        let hint = "drop it, or write action = \"pseudonymise\"";
        let key = if table.has("from") { "from" } else { "first_of" };
        report.error(&table.place_of(key), message, Some(hint.to_owned()));
    }
}

/// `email_verified` speaks of `/email` and of nothing else.
fn check_email(table: &Table<'_>, action: &Action, from: &[Pointer], report: &mut Report<'_>) {
    let coarsens = matches!(action, Action::Coarsen(Coarsening::EmailDomain { .. }));
    if coarsens && !from.iter().all(|p| p.as_str() == "/email") {
        let message = "`email-domain` reads `/email`, the address that `email_verified` speaks of";
        let key = if table.has("from") { "from" } else { "first_of" };
        report.error(&table.place_of(key), message, None);
    }
}
