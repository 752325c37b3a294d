//! OpenAPI schemas of the types whose serialized form no derive can describe.

use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::decision::{RULES, Rule};
use crate::{BillerId, Colour, Locale, LocalizedText, Slug, UserId};

impl PartialSchema for Locale {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some("A language."));
        object.enum_values(Some(Locale::ALL.map(|locale| json!(locale)))).build().into()
    }
}
impl ToSchema for Locale {}

impl PartialSchema for Rule {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some("A rule's permanent name."));
        object.enum_values(Some(RULES.iter().map(|info| json!(info.rule)))).build().into()
    }
}
impl ToSchema for Rule {}

impl PartialSchema for Colour {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some("A colour of sRGB."));
        object.pattern(Some("^#[0-9a-f]{6}$")).examples([json!("#1d4e89")]).build().into()
    }
}
impl ToSchema for Colour {}

impl PartialSchema for LocalizedText {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let each = Locale::ALL.into_iter().fold(ObjectBuilder::new().schema_type(Type::Object), |each, locale| {
            each.property(locale.tag(), ObjectBuilder::new().schema_type(Type::String))
        });
        let description = "A text for customers: alone, in English, or by language.";
        RefOr::T(Schema::OneOf(OneOfBuilder::new().item(text).item(each).description(Some(description)).build()))
    }
}
impl ToSchema for LocalizedText {}

impl PartialSchema for Slug {
    fn schema() -> RefOr<Schema> {
        let description = "Permanent short name of a biller.";
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let object = object.pattern(Some("^[a-z0-9]+(-[a-z0-9]+)*$")).min_length(Some(2)).max_length(Some(63));
        object.examples([json!("maple-electric")]).build().into()
    }
}
impl ToSchema for Slug {}

fn id_schema(description: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    object.format(Some(SchemaFormat::Custom("uuid".to_owned()))).build().into()
}

impl PartialSchema for UserId {
    fn schema() -> RefOr<Schema> {
        id_schema("Permanent id of a user.")
    }
}
impl ToSchema for UserId {}

impl PartialSchema for BillerId {
    fn schema() -> RefOr<Schema> {
        id_schema("Permanent id of a biller; the identity API calls it a team.")
    }
}
impl ToSchema for BillerId {}
