//! JSON Schema (draft 2020-12) of the configuration files, made from their [`Shape`]s, so that
//! editors know what the check knows.

use serde_json::{Map, Value, json};

use super::{
    keys::{FEDERATION, REGION},
    shape::{Field, Kind, NAME_BYTES_MAX, Need, Shape, TEXT_BYTES_MAX},
};

/// The schema of a region's file.
#[must_use]
pub fn region_schema() -> Value {
    document("Exequatur: one region", &REGION)
}

/// The schema of the federation's file.
#[must_use]
pub fn federation_schema() -> Value {
    document("Exequatur: what all regions of a federation share", &FEDERATION)
}

fn document(title: &str, shape: &Shape) -> Value {
    let mut schema = table(shape);
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        members.insert("title".to_owned(), json!(title));
    }
    schema
}

fn table(shape: &Shape) -> Value {
    let property = |field: &Field| {
        let mut schema = of_kind(&field.kind);
        if let Some(members) = schema.as_object_mut() {
            members.insert("description".to_owned(), json!(field.meaning));
            if let Need::Default(text) = field.need {
                members.insert("default".to_owned(), default_value(&field.kind, text));
            }
        }
        (field.key.to_owned(), schema)
    };
    let properties: Map<String, Value> = shape.fields.iter().map(property).collect();
    let required = shape.fields.iter().filter(|f| f.need == Need::Required).map(|f| f.key);
    let required: Vec<&str> = required.collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Choice(values) => json!({"enum": values}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Duration => json!({"type": "string", "pattern": "^[0-9]+[smhd]$"}),
        Kind::Either(kinds) => {
            let all: Vec<Value> = kinds.iter().map(of_kind).collect();
            json!({"anyOf": all})
        }
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::List(item) => json!({"type": "array", "items": of_kind(item)}),
        Kind::MapOf(value) => json!({"type": "object", "additionalProperties": of_kind(value)}),
        Kind::Name => json!({
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]+$",
            "maxLength": NAME_BYTES_MAX,
        }),
        Kind::Pointer => json!({"type": "string", "pattern": "^(/([^/~]|~[01])+)+$"}),
        Kind::Table(shape) => table(shape),
        Kind::Text => json!({"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX}),
    }
}

fn default_value(kind: &Kind, text: &str) -> Value {
    match kind {
        Kind::Flag => json!(text == "true"),
        Kind::Integer(..) => text.parse::<u32>().map_or(Value::Null, Value::from),
        Kind::Choice(_)
        | Kind::Date
        | Kind::Duration
        | Kind::Either(_)
        | Kind::List(_)
        | Kind::MapOf(_)
        | Kind::Name
        | Kind::Pointer
        | Kind::Table(_)
        | Kind::Text => json!(text),
    }
}
