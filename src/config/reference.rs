//! The settings as the sections describe them: for the configuration reference, the example file and `config show`.

use serde_json::Value;

use super::keys::{PREFIX, declared};
use super::sections::Config;

pub struct ReferenceSection {
    pub name: String,
    pub description: String,
    /// `[[name]]`: a list of tables.
    pub is_list: bool,
    pub settings: Vec<ReferenceSetting>,
}

pub struct ReferenceSetting {
    pub key: String,
    /// The type, in words.
    pub kind: String,
    pub default: Option<Value>,
    pub example: Option<Value>,
    pub meaning: String,
    /// The environment variable that overrides it.
    pub variable: Option<String>,
}

/// Every section and setting, in the order of their declaration.
pub fn reference() -> Vec<ReferenceSection> {
    let schema = schema();
    declared().into_iter().map(|(name, keys)| section(&schema["properties"][&name], name, keys)).collect()
}

fn section(schema: &Value, name: String, keys: Vec<String>) -> ReferenceSection {
    let is_list = schema["type"] == "array";
    let table = if is_list { &schema["items"] } else { schema };
    let settings = keys.into_iter().map(|key| {
        let schema = &table["properties"][&key];
        ReferenceSetting {
            kind: kind(schema),
            default: schema.get("default").filter(|value| !is_unset(value)).cloned(),
            example: schema["examples"].get(0).cloned(),
            meaning: meaning(schema),
            variable: (!is_list).then(|| format!("{PREFIX}{name}__{key}").to_ascii_uppercase()),
            key,
        }
    });
    ReferenceSection { settings: settings.collect(), description: text(&table["description"]), is_list, name }
}

fn is_unset(value: &Value) -> bool {
    value.is_null()
        || value == ""
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// A description on one line.
fn text(description: &Value) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The description, with those of the possible values.
fn meaning(schema: &Value) -> String {
    let mut out = text(&schema["description"]);
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        let (value, meaning) = (toml_text(&choice["const"]), text(&choice["description"]));
        out.push_str(&format!(" {value}: {}", meaning.trim_end_matches('.')));
        out.push(';');
    }
    if out.ends_with(';') {
        out.pop();
        out.push('.');
    }
    out
}

fn kind(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    let choices = schema["oneOf"].as_array().map(|choices| choices.iter().map(|choice| &choice["const"]).collect());
    let choices: Option<Vec<&Value>> = choices.or_else(|| schema["enum"].as_array().map(|all| all.iter().collect()));
    if let Some(choices) = choices {
        return choices.into_iter().map(toml_text).collect::<Vec<_>>().join(" or ");
    }
    match (schema["type"].as_str().unwrap_or_default(), schema["format"].as_str()) {
        ("string", Some("uri")) => "URL".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => "number".to_owned(),
        ("array", _) => format!("list of {}s", kind(&schema["items"])),
        ("object", _) if schema["properties"].is_object() => "table".to_owned(),
        ("object", _) => format!("table of {}s", kind(&schema["additionalProperties"])),
        (other, _) => other.to_owned(),
    }
}

/// A value in TOML, which has no null: members that are null are left out.
pub fn toml_text(value: &Value) -> String {
    toml::Value::try_from(without_nulls(value)).map(|value| value.to_string()).unwrap_or_default()
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Object(members) => {
            let set = members.iter().filter(|(_, member)| !member.is_null());
            set.map(|(name, member)| (name.clone(), without_nulls(member))).collect()
        }
        other => other.clone(),
    }
}

/// The JSON schema of the settings file, for editors.
pub fn schema() -> Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    adapt_to_toml(&mut schema);
    // Sections that are left out have their defaults.
    if let Some(root) = schema.as_object_mut() {
        root.remove("required");
    }
    schema
}

/// TOML has no null: a key is left out. Unknown keys are errors.
fn adapt_to_toml(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(adapt_to_toml);
    }
    let Value::Object(members) = schema else { return };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = &mut choices[..] {
            let only = std::mem::take(only);
            members.remove("anyOf");
            only.into_iter().for_each(|(name, value)| {
                members.entry(name).or_insert(value);
            });
        }
    }
    if members.get("properties").is_some_and(Value::is_object) && members.contains_key("type") {
        members.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    members.values_mut().for_each(adapt_to_toml);
}
