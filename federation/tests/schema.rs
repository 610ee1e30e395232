//! The committed JSON Schemas are those that this code generates.

use exequatur_federation::config;

fn assert_current(file: &str, committed: &str, generated: &serde_json::Value) {
    let generated = format!("{generated:#}\n");
    assert!(
        committed == generated,
        "{file} is out of date: write it anew with `exequatur config schema`, or replace it by\n\
         {generated}"
    );
}

#[test]
fn the_schema_of_a_region_file_is_current() {
    let committed = include_str!("../../region-configs/region.schema.json");
    assert_current("region-configs/region.schema.json", committed, &config::region_schema());
}

#[test]
fn the_schema_of_the_federation_file_is_current() {
    let committed = include_str!("../../region-configs/federation.schema.json");
    let schema = config::federation_schema();
    assert_current("region-configs/federation.schema.json", committed, &schema);
}
