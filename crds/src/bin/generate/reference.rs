//! The resources' fields as tables in Markdown, from their schemas.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

const HEAD: &str = "\
# Reference of gochat.io/v1alpha1

Made from the types in `crds/` by `make generate`; don't edit. `kubectl explain gochatcluster.spec.gateway` says the same.

A field in **bold** has to be given. Rules that concern more than one value are below each table: the API server refuses what
breaks one, with that sentence. Lengths of time are whole numbers of `h`, `m`, `s` and `ms`: `90s`, `1h30m`.
";

/// The whole page.
pub(crate) fn markdown(definitions: &[CustomResourceDefinition]) -> String {
    let mut page = HEAD.to_owned();
    for definition in definitions {
        for part in resource(definition) {
            page.push_str(&part);
        }
    }
    page
}

fn resource(definition: &CustomResourceDefinition) -> Vec<String> {
    let names = &definition.spec.names;
    let Some(schema) =
        definition.spec.versions.first().and_then(|v| v.schema.as_ref()?.open_api_v3_schema.as_ref())
    else {
        return Vec::new();
    };
    let short = names.short_names.iter().flatten().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ");
    let about = schema.description.as_deref().unwrap_or_default();
    let mut parts = vec![format!("\n## {}\n\n{about}\n\nShort name: {short}.\n", names.kind)];
    for part in ["spec", "status"] {
        if let Some(schema) = schema.properties.as_ref().and_then(|p| p.get(part)) {
            let mut table = Table::default();
            table.fields(part, schema);
            parts.push(table.render(part));
        }
    }
    parts.extend(rules("", schema).map(|rule| format!("\n- {rule}\n")));
    parts
}

#[derive(Default)]
struct Table {
    rows: String,
    rules: Vec<String>,
}

impl Table {
    fn fields(&mut self, path: &str, schema: &JSONSchemaProps) {
        self.rules.extend(rules(path, schema));
        let required = schema.required.iter().flatten().collect::<Vec<_>>();
        for (name, field) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            let bold = if required.contains(&name) { "**" } else { "" };
            let text =
                field.description.as_deref().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(
                self.rows,
                "| {bold}`{path}`{bold} | {} | {} | {text} |",
                type_of(field),
                default_of(field)
            );
            self.nested(&path, field);
        }
    }

    fn nested(&mut self, path: &str, field: &JSONSchemaProps) {
        if field.properties.is_some() {
            // What is Kubernetes's own is explained there.
            if !is_foreign(path) {
                self.fields(path, field);
            }
        } else if let Some(JSONSchemaPropsOrArray::Schema(item)) = &field.items
            && item.properties.is_some()
            && !is_foreign(path)
        {
            self.fields(&format!("{path}[]"), item);
        } else {
            self.rules.extend(rules(path, field));
        }
    }

    fn render(&self, part: &str) -> String {
        let rules = match self.rules.as_slice() {
            [] => String::new(),
            rules => format!("\n- {}\n", rules.join("\n- ")),
        };
        format!(
            "\n### {part}\n\n| field | type | default | what it is |\n| --- | --- | --- | --- |\n{}{rules}",
            self.rows
        )
    }
}

fn is_foreign(path: &str) -> bool {
    ["resources", "tolerations", "conditions"].iter().any(|name| path.ends_with(&format!(".{name}")))
}

fn rules<'a>(path: &'a str, schema: &'a JSONSchemaProps) -> impl Iterator<Item = String> + 'a {
    let at = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
    schema
        .x_kubernetes_validations
        .iter()
        .flatten()
        .filter_map(move |rule| Some(format!("{at}{}", rule.message.as_ref()?)))
}

fn type_of(field: &JSONSchemaProps) -> String {
    if let Some(values) = &field.enum_ {
        let words: Vec<_> = values
            .iter()
            .filter(|v| !v.0.is_null())
            .map(|v| format!("`{}`", v.0.as_str().unwrap_or("?")))
            .collect();
        return words.join(", ");
    }
    let name = field.type_.as_deref().unwrap_or("any");
    match (name, &field.items) {
        ("array", Some(JSONSchemaPropsOrArray::Schema(item))) => format!("list of {}", type_of(item)),
        ("integer" | "number", _) => match (field.minimum, field.maximum) {
            (Some(min), Some(max)) => format!("{name}, {min} to {max}"),
            (None, Some(max)) => format!("{name}, at most {max}"),
            _ => name.to_owned(),
        },
        _ => name.to_owned(),
    }
}

fn default_of(field: &JSONSchemaProps) -> String {
    match &field.default {
        Some(value) if !value.0.is_object() => format!("`{}`", value.0.to_string().trim_matches('"')),
        _ => String::new(),
    }
}
