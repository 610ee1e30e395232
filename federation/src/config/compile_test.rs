//! A whole configuration: what it reads as, what is said about mistakes, and that no text breaks it.

use proptest::prelude::*;

use super::{keys::FEDERATION as FEDERATION_SHAPE, *};
use crate::{
    client::{ActsAs, ClientAuth, ClientId, Grant, Rate, UpstreamIds},
    freshness::OnStale,
    jose::Algorithm,
    residency::{Action, Coarsening, Join, Selector},
    time::Ttl,
    trust::{Marker, PeopleHome, ScopeRule, ServicesHome},
};

const FEDERATION: &str = include_str!("../../../region-configs/federation.toml");
const JWKS: &str = include_str!("../../../region-configs/clients/orders-api.jwks");
const EXAMPLES: [&str; 3] = [
    include_str!("../../../region-configs/ap-southeast.toml"),
    include_str!("../../../region-configs/eu-central.toml"),
    include_str!("../../../region-configs/us-east.toml"),
];

/// The shortest region file that is valid.
const REGION_FILE: &str = r#"
[region]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "https://eu-central.id.example"
[listen]
plain_http = true
[keys]
provider = "software"
software = { file = "keys", passphrase_file = "passphrase" }
[store]
url = "sqlite:region.db"
"#;

const UPSTREAM: &str = r#"
[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "https://login.example.com/realms/global"
"#;

fn compiled_with(region: &str, federation: &str) -> Result<Compiled, Vec<Diagnostic>> {
    let source = |text: &str| SourceFile { name: "x.toml".to_owned(), text: text.to_owned() };
    let read = |path: &str| match path {
        "hashes" => {
            let hash =
                secret_hash_text(&crate::client::SecretHash { salt: [1; 16], hash: [2; 32] });
            Ok(format!("\n{hash}\n  {hash}\n").into_bytes())
        }
        "private" => Ok(br#"{"keys":[{"kty":"EC","d":"AA"}]}"#.to_vec()),
        "empty" => Ok(br#"{"keys":[]}"#.to_vec()),
        _ => Ok(JWKS.as_bytes().to_vec()),
    };
    compile(&source(region), &source(federation), &read)
}

fn compiled(tables: &str) -> Compiled {
    let text = format!("{REGION_FILE}{UPSTREAM}{tables}");
    compiled_with(&text, FEDERATION).unwrap_or_else(|found| panic!("{}", rendered(&found)))
}

fn rendered(findings: &[Diagnostic]) -> String {
    findings.iter().map(|d| format!("{d}\n")).collect()
}

/// Messages of the findings about tables that are appended to a valid file.
fn complaints(tables: &str) -> Vec<String> {
    let text = format!("{REGION_FILE}{UPSTREAM}{tables}");
    let found = match compiled_with(&text, FEDERATION) {
        Ok(compiled) => compiled.warnings,
        Err(found) => found.into_iter().filter(|d| d.severity == Severity::Error).collect(),
    };
    found.into_iter().map(|d| d.message).collect()
}

#[test]
fn a_short_file_gets_sensible_defaults() {
    let Compiled { law, settings, warnings, .. } = compiled("");
    assert_eq!(warnings, []);
    assert_eq!(law.access_token_ttl, Ttl::from_seconds(300));
    assert_eq!(settings.listen.public.to_string(), "127.0.0.1:8443");
    assert_eq!(settings.listen.operations.to_string(), "127.0.0.1:9090");
    assert_eq!(settings.listen.transport, Transport::PlainHttp);
    assert_eq!(settings.keys.algorithm, Algorithm::Es256);
    assert_eq!(settings.store.engine, StoreEngine::Sqlite("region.db".to_owned()));
    assert_eq!(settings.audit.keep, Ttl::from_seconds(400 * 86_400));
    assert_eq!(law.freshness.max_staleness, Ttl::from_seconds(10));
    assert_eq!(settings.status_list.ttl, Ttl::from_seconds(60));
    assert_eq!(settings.status_list.publish_every, Ttl::from_seconds(10));
    let (stale_ttl, local_max) = (Ttl::from_seconds(60), Ttl::from_seconds(3_600));
    assert_eq!(law.freshness.on_stale, OnStale::Local { stale_ttl, local_max });
    assert!(settings.limits.connections > 0 && settings.limits.requests_in_flight > 0);
    let upstream = &law.upstreams["https://login.example.com/realms/global"];
    assert_eq!(upstream.clock_slack, Ttl::from_seconds(5));
    assert_eq!(upstream.scopes, ScopeRule::FromToken(std::collections::BTreeMap::new()));
}

#[test]
fn the_full_example_reads_as_it_is_written() {
    let Compiled { law, settings, .. } = compiled_with(EXAMPLES[1], FEDERATION).unwrap();
    let rules: Vec<_> = law.rules.iter().map(|r| (r.to.as_str(), &r.action)).collect();
    assert!(matches!(rules[0], ("email_domain", Action::Coarsen(Coarsening::EmailDomain { .. }))));
    assert!(matches!(rules[1], ("roles", Action::Map(map)) if map["EU-EDIT"] == "editor"));
    assert_eq!(rules[2].1, &Action::Coarsen(Coarsening::AgeOver { years: 18 }));
    assert_eq!(rules[3].1, &Action::Pseudonymise(Join::Subject));
    assert_eq!(rules[4].1, &Action::Drop);
    let provider = &settings.keys.provider;
    assert!(
        matches!(provider, KeyProvider::Pkcs11 { sessions: 4, slot, .. } if slot == "eu-central")
    );
    assert_eq!(
        settings.listen.admin,
        Some(AdminAddress::Unix("/run/exequatur/admin.sock".to_owned()))
    );
    let transfer = &law.transfers["eu-us-support"];
    // 2027-07-01T00:00:00Z: the rule holds through its last day.
    assert_eq!(transfer.limits.expires, crate::time::UnixTime::from_seconds(1_814_400_000));
    let there = &transfer.clients[&ClientId::new("support-gateway-us")];
    assert_eq!(there.as_str(), "support-gateway");
    let gateway = &law.clients[&ClientId::new("orders-gateway")];
    assert_eq!(gateway.grants, [Grant::TokenExchange]);
    assert_eq!(gateway.upstream_ids, UpstreamIds::Listed(vec!["gateway".to_owned()]));
    assert_eq!(gateway.acts_as, ActsAs::Delegate);
    let home = &law.upstreams["https://login.example.com/realms/global"].home;
    assert_eq!(home.services, ServicesHome::Here);
    assert!(matches!(&home.people, PeopleHome::Claim { map, .. } if map.len() == 3));
}

#[test]
fn a_rule_reads_its_selector_bounds_and_condition() {
    let law = compiled(
        r#"
        [[claim]]
        first_of  = ["/groups", "/teams"]
        class     = "entitlement"
        action    = "rename"
        to        = "teams"
        each      = "/name"
        type      = "text"
        bytes_max = 32
        items_max = 8
        required  = true
        when      = { at = "/kind", equals = "staff" }
        [[resource]]
        id     = "urn:example:a"
        claims = ["teams"]
        "#,
    )
    .law;
    let rule = &law.rules[0];
    assert_eq!(rule.from.len(), 2);
    assert!(matches!(&rule.selector, Selector::Each(Some(p)) if p.as_str() == "/name"));
    assert_eq!((rule.bounds.bytes_max, rule.bounds.items_max), (32, 8));
    assert!(rule.required && rule.upstream.is_none());
    assert_eq!(rule.when.as_ref().unwrap().equals, "staff");
    assert_eq!(rule.line, 19);
}

#[test]
fn a_client_reads_its_secret_rate_and_names() {
    let tables = r#"
        [[resource]]
        id = "urn:example:a"
        [[client]]
        id        = "batch"
        auth      = { secret_hash_file = "hashes", post = true }
        grants    = ["token-exchange"]
        resources = ["urn:example:a"]
        acts_as   = "subject"
        rate      = { per_second = 5 }
    "#;
    let law = compiled(tables).law;
    let client = &law.clients[&ClientId::new("batch")];
    assert!(matches!(&client.auth, ClientAuth::Secret { hashes, post: true } if hashes.len() == 2));
    assert_eq!(client.rate, Rate { per_second: 5, burst: 2000 });
    assert_eq!(client.upstream_ids, UpstreamIds::Listed(vec!["batch".to_owned()]));
    assert_eq!(client.acts_as, ActsAs::Subject);
}

#[test]
fn a_profile_overrides_the_preset_member_by_member() {
    let own = r#"
        profile = { access_typ = ["application/AT+JWT"], session = [], service = [{ at = "/gty", equals = "cc" }] }
        scopes  = { "global.read" = ["orders:read", "orders:list"] }
    "#;
    let law = compiled(own).law;
    let upstream = &law.upstreams["https://login.example.com/realms/global"];
    assert_eq!(upstream.profile.access_typ, ["at+jwt"]);
    assert!(upstream.profile.session.is_empty());
    assert!(matches!(&upstream.profile.service[..], [Marker::Equals(_, text)] if text == "cc"));
    assert_eq!(upstream.profile.id_markers.len(), 1);
    let ScopeRule::FromToken(map) = &upstream.scopes else { panic!("scopes are a map") };
    assert_eq!(map["global.read"], ["orders:read", "orders:list"]);
}

#[test]
fn an_issuer_is_https_or_on_loopback_and_no_regions() {
    let with = |issuer: &str| {
        let upstream = format!("[[upstream]]\nname = \"global\"\nissuer = \"{issuer}\"\n");
        compiled_with(&format!("{REGION_FILE}{upstream}"), FEDERATION)
    };
    let settings = with("http://127.0.0.1:9000/realms/x").unwrap().settings;
    assert!(settings.upstreams["http://127.0.0.1:9000/realms/x"].loopback_http);
    for issuer in [
        "http://login.example.com",
        "https://login.example.com?x=1",
        "https://{tenant}.example.com",
        "https://us-east.id.example",
    ] {
        assert!(with(issuer).is_err(), "{issuer}");
    }
}

/// Tables that are appended to a valid file, and a part of the one thing that is said about them.
#[test]
fn each_mistake_gives_one_finding() {
    let claim = |rest: &str| format!("[[claim]]\nclass = \"technical\"\n{rest}\n");
    let used = "[[resource]]\nid = \"urn:example:a\"\nclaims = [\"x\"]\n";
    let cases = [
        (claim("action = \"drop\""), "exactly one of `from` and `first_of`"),
        (claim("from = \"/a\"\nfirst_of = [\"/b\"]\naction = \"drop\""), "exactly one of `from`"),
        (claim("first_of = []\naction = \"drop\""), "no place to read from"),
        (claim("from = \"/a\"\naction = \"drop\"\nto = \"b\""), "has no name here"),
        (claim("from = \"/a\"\naction = \"drop\"\nrequired = true"), "`required` has no meaning"),
        (claim("from = \"/a\"\naction = \"drop\"\nkeys = true"), "reads the claim as a whole"),
        (claim("from = \"/a\"\naction = \"rename\""), "`rename` needs a name"),
        (claim("from = \"/a b\"\naction = \"keep\""), "cannot be a claim's name"),
        (claim("action = { constant = \"c\" }"), "without `from` needs a name"),
        (claim("from = \"/a\"\naction = \"rename\"\nto = \"exq_home\""), "claim of the protocol"),
        (claim("from = \"/iss\"\naction = \"keep\""), "claim of the protocol"),
        (claim("from = \"/a\"\naction = { map = {} }"), "an empty map drops every value"),
        (claim("from = \"/a\"\naction = {}"), "exactly one thing"),
        (
            claim("from = \"/a\"\neach = \"/jti\"\naction = \"rename\"\nto = \"x\"") + used,
            "`jti` is alike at every service",
        ),
        (
            claim("from = \"/a\"\naction = { coarsen = \"country\", countries = [\"de\"] }"),
            "no country code",
        ),
        (claim("from = \"/a\"\naction = { coarsen = \"postal-prefix\" }"), "every value would be"),
        ("[[resource]]\nid = \"urn:a:b\"\nscopes = [\"a b\"]\n".to_owned(), "is no scope"),
        (
            "[[resource]]\nid = \"urn:a:b\"\n[[resource]]\nid = \"urn:a:b\"\n".to_owned(),
            "names a resource, but is also a resource",
        ),
        (
            "[[resource]]\nid = \"https://us-east.id.example\"\n".to_owned(),
            "is also the issuer of a region",
        ),
        (
            "[[client]]\nid = \"c\"\ngrants = []\nauth = { private_key_jwt = \"private\" }\n"
                .to_owned(),
            "the file holds no usable keys",
        ),
        (
            "[[client]]\nid = \"c\"\ngrants = []\nauth = { private_key_jwt = \"empty\" }\n"
                .to_owned(),
            "no key of the file verifies",
        ),
        (
            "[[client]]\nid = \"c\"\ngrants = []\nauth = { private_key_jwt = \"ok\" }\n".to_owned(),
            "no resource names it",
        ),
        (
            "[[client]]\nid = \"c\"\ngrants = [\"token-exchange\"]\n\
             auth = { private_key_jwt = \"ok\" }\n"
                .to_owned(),
            "for no resource and no transfer",
        ),
        (UPSTREAM.to_owned(), "two upstreams are named `global`"),
    ];
    for (tables, expected) in cases {
        let found = complaints(&tables);
        let about = found.iter().filter(|m| m.contains(expected)).count();
        assert_eq!(about, 1, "{tables}\n{found:#?}");
    }
}

#[test]
fn readers_of_sealed_trailers_are_other_regions_with_numbers() {
    let resource =
        |readers: &str| format!("[[resource]]\nid = \"urn:a:b\"\nintrospect_in = [{readers}]\n");
    let Compiled { law, .. } = compiled(&resource("\"us-east\", \"ap-southeast\""));
    let readers: Vec<_> =
        law.foreign_readers().into_iter().map(|(n, id)| (n.number(), id)).collect();
    let names: Vec<_> = readers.iter().map(|(number, id)| (*number, id.as_str())).collect();
    assert_eq!(names, [(2, "us-east"), (3, "ap-southeast")]);
    assert_eq!(law.region_number().map(crate::region::RegionNumber::number), Some(1));
    for (readers, expected) in [
        ("\"us-eats\"", "`us-eats` is no region of federation.toml"),
        ("\"eu-central\"", "`eu-central` is this region, which is always asked"),
        ("\"us-east\", \"us-east\"", "`us-east` stands there twice"),
    ] {
        assert_eq!(complaints(&resource(readers)), [expected]);
    }
    let many = complaints(&resource(&["\"us-east\""; 5].join(",")));
    assert!(many.contains(&"at most 4 other regions may be asked".to_owned()), "{many:?}");
    // Numbers of other regions, and the own one, may be missing in a federation without nodes.
    let text = format!("{REGION_FILE}{UPSTREAM}{}", resource("\"us-east\""));
    for (number, region) in [("1", "eu-central"), ("2", "us-east")] {
        let line = format!("number       = {number} ");
        let line = if number == "1" { line } else { format!("number       = {number}\n") };
        assert_eq!(FEDERATION.matches(&line).count(), 1, "{line}");
        let found = compiled_with(&text, &FEDERATION.replacen(&line, &format!("#{line}"), 1));
        let found = found.unwrap_err();
        let expected = format!("`{region}` has no `number` in federation.toml");
        assert!(found.iter().any(|finding| finding.message == expected), "{}", rendered(&found));
    }
}

/// The first eight hexadecimal digits of the SHA-256 of both are b9eb19e1.
#[test]
fn clients_that_would_be_revoked_together_are_refused() {
    let client = |id: &str| {
        format!("[[client]]\nid = \"{id}\"\ngrants = []\nauth = {{ private_key_jwt = \"ok\" }}\n")
    };
    assert_eq!(ClientId::new("client-42702").number(), 0xb9eb_19e1);
    let found = complaints(&(client("client-42702") + &client("client-77027")));
    assert_eq!(found, ["`client-77027` would be revoked together with `client-42702`"]);
    let found = complaints(&(client("client-42702") + &client("client-42702")));
    assert_eq!(found, ["`client-42702` names a client, but is also a client"]);
}

#[test]
fn a_federation_that_contradicts_itself_is_refused() {
    let base = FEDERATION;
    let cases = [
        (base.replace("\"us-east.id", "\"eu-central.id"), None),
        (base.replace("https://us-east.id", "https://eu-central.id"), Some("two regions have")),
        (base.replace("name         = \"us-east\"", "name = \"eu-central\""), Some("are named")),
        (base.replace("eu = \"eu-central\"", "eu = \"moon\""), Some("is no region")),
        (base.replace("services = \"here\"", "services = \"moon\""), Some("is no region")),
        (base.replace("from     = \"/home_region\"", ""), Some("exactly one of `from`")),
        (base.replace("{ fixed = \"us-east\"", "{ map = {}, fixed = \"us-east\""), Some("`map`")),
        (base.replace("[\"api://exequatur-us\"]", "[]"), Some("no audience")),
        (base.replace("name       = \"example\"", ""), Some("`name` is missing")),
        ("x = ".to_owned(), Some("")),
    ];
    for (federation, expected) in cases {
        let result = compiled_with(EXAMPLES[2], &federation);
        match (expected, result) {
            (None, result) => assert!(result.is_ok(), "{federation}"),
            (Some(expected), Err(found)) => {
                assert!(found.iter().any(|d| d.message.contains(expected)), "{}", rendered(&found));
            }
            (Some(expected), Ok(_)) => panic!("accepted, but expected: {expected}"),
        }
    }
}

#[test]
fn every_default_is_a_value_of_its_kind() {
    fn walk(shape: &'static Shape) {
        for field in shape.fields {
            assert!(field.meaning.ends_with(['.', ':']), "{}: {}", field.key, field.meaning);
            if let shape::Need::Default(text) = field.need {
                let fits = match &field.kind {
                    shape::Kind::Choice(all) => all.contains(&text),
                    shape::Kind::Duration => Ttl::parse(text).is_ok(),
                    shape::Kind::Flag => matches!(text, "true" | "false"),
                    shape::Kind::Integer(min, max) => {
                        text.parse().is_ok_and(|n| (*min..=*max).contains(&n))
                    }
                    shape::Kind::Name | shape::Kind::Text => !text.is_empty(),
                    shape::Kind::Date
                    | shape::Kind::Either(_)
                    | shape::Kind::List(_)
                    | shape::Kind::MapOf(_)
                    | shape::Kind::Pointer
                    | shape::Kind::Table(_) => false,
                };
                assert!(fits, "{} = {text}", field.key);
            }
            if let Some(inner) = field.kind.item().unwrap_or(&field.kind).table() {
                walk(inner);
            }
        }
    }
    walk(&REGION);
    walk(&FEDERATION_SHAPE);
}

#[test]
fn every_key_can_be_explained_and_a_misspelt_one_is_suggested() {
    for doc in keys() {
        assert!(explain(&doc.path).is_ok_and(|found| found.contains(&doc)), "{}", doc.path);
    }
    let post = &explain("client.auth.post").unwrap()[0];
    assert_eq!((post.path.as_str(), post.absent.as_deref()), ("client[].auth.post", Some("false")));
    assert!(explain("client").unwrap().len() > 10);
    assert_eq!(explain("listen.pubilc"), Err(Some("listen.public".to_owned())));
    assert_eq!(explain("zzzzzzzzzzzz"), Err(None));
}

#[test]
fn a_file_beyond_the_bound_is_refused_unread() {
    let text = format!("# {}\n{REGION_FILE}", "x".repeat(FILE_BYTES_MAX));
    let found = compiled_with(&text, FEDERATION).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("larger than"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}=.,\"a-z0-9\n #é]{0,200}") {
        prop_assert!(compiled_with(&text, FEDERATION).is_err());
        prop_assert!(compiled_with(EXAMPLES[0], &text).is_err());
    }

    /// A line less, a line twice, or a character less: findings point into the file, or there are
    /// none.
    #[test]
    fn a_damaged_example_gets_findings_that_point_into_it(
        example in 0_usize..3, line in 0_usize..160, kind in 0_u8..3,
    ) {
        let mut lines: Vec<String> = EXAMPLES[example].lines().map(str::to_owned).collect();
        let line = line % lines.len();
        match kind {
            0 => drop(lines.remove(line)),
            1 => lines.insert(line, lines[line].clone()),
            _ => drop(lines[line].pop()),
        }
        let text = lines.join("\n");
        let count = text.lines().count().max(1);
        let found = match compiled_with(&text, FEDERATION) {
            Ok(compiled) => compiled.warnings,
            Err(found) => found,
        };
        for finding in found {
            prop_assert!((1..=count + 1).contains(&finding.line), "{finding}");
            prop_assert!(finding.column >= 1 && !finding.message.is_empty());
        }
    }
}

#[test]
fn lists_are_published_as_often_as_they_are_fetched_or_more() {
    let settings = compiled("[status_list]\nttl = \"5s\"\npublish_every = \"1s\"").settings;
    let seconds = [settings.status_list.ttl, settings.status_list.publish_every].map(Ttl::seconds);
    assert_eq!(seconds, [5, 1]);
    for (table, complaint) in [
        ("ttl = \"0s\"", "a list is used for 1s to 1h before it is fetched anew"),
        ("ttl = \"2h\"", "a list is used for 1s to 1h before it is fetched anew"),
        ("publish_every = \"0s\"", "lists are published every 1s to 60s"),
        ("ttl = \"1h\"\npublish_every = \"61s\"", "lists are published every 1s to 60s"),
        ("ttl = \"5s\"", "lists would be published less often than they are fetched (`ttl`)"),
    ] {
        let found = complaints(&format!("[status_list]\n{table}"));
        assert!(found.iter().any(|message| message == complaint), "{table}: {found:?}");
    }
}
