//! What is checked in is what the types say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

const FILES: [&str; 5] = [
    "crds/yaml/gochatclusters.gochat.io.yaml",
    "crds/yaml/gochatplacements.gochat.io.yaml",
    "crds/yaml/gochatscalers.gochat.io.yaml",
    "crds/yaml/gochatrebalances.gochat.io.yaml",
    "docs/reference.md",
];

#[test]
fn generated_files_are_current() {
    let made = tempfile::tempdir().unwrap();
    assert!(Command::new(env!("CARGO_BIN_EXE_generate")).arg(made.path()).status().unwrap().success());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in FILES {
        let (now, kept) =
            (fs::read(made.path().join(file)).unwrap(), fs::read(root.join(file)).unwrap_or_default());
        assert!(now == kept, "{file} is not what the types say: run `make generate` and commit it");
    }
}

/// What else is in it is compared by `charts/test.sh`, which has to have Helm.
#[test]
fn the_plain_installation_has_the_definitions_as_they_are() {
    let text = include_str!("../../charts/install.yaml");
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
    let kept: Vec<CustomResourceDefinition> = objects
        .into_iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .map(|object| serde_json::from_value(object).unwrap())
        .collect();
    for definition in gochat_crds::definitions() {
        let kind = &definition.spec.names.kind;
        assert!(
            kept.iter().any(|kept| kept.spec == definition.spec),
            "charts/install.yaml has another {kind}: run `UPDATE=1 charts/test.sh` and commit it"
        );
    }
}

#[test]
fn each_definition_is_small_enough_to_be_applied() {
    for definition in gochat_crds::definitions() {
        let size = serde_json::to_vec(&definition).unwrap().len();
        let name = definition.spec.names.kind;
        // 256 KiB is what the annotation of a client-side apply may take.
        assert!(size < 200 * 1024, "{name} is {size} bytes");
    }
}

/// Server-side apply can't merge lists whose items get defaults: the item's identity would change while it is merged.
#[test]
fn no_default_is_inside_a_list_item() {
    fn look(schema: &serde_json::Value, in_item: bool, path: &str) {
        let serde_json::Value::Object(fields) = schema else { return };
        assert!(!(in_item && fields.contains_key("default")), "{path} has a default inside a list item");
        for (name, value) in fields {
            let path = format!("{path}.{name}");
            match name.as_str() {
                "items" => look(value, true, &path),
                "properties" => {
                    for (name, field) in value.as_object().unwrap() {
                        look(field, in_item, &format!("{path}.{name}"));
                    }
                }
                "additionalProperties" => look(value, in_item, &path),
                _ => {}
            }
        }
    }
    for definition in gochat_crds::definitions() {
        let json = serde_json::to_value(&definition).unwrap();
        look(
            json.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap(),
            false,
            &definition.spec.names.kind,
        );
    }
}

#[test]
fn the_documents_name_no_field_that_is_not_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let reference = fs::read_to_string(root.join("docs/reference.md")).unwrap();
    let mut named = 0;
    for file in
        ["README.md", "docs/operations.md", "docs/runbooks.md", "docs/conditions.md", "gitops/README.md"]
    {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for (start, _) in text.match_indices("`spec.") {
            let rest = &text[start + 1..];
            let field = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next().unwrap();
            assert!(reference.contains(&format!("`{field}`")), "{file}: there is no {field}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} fields were found in the documents");
}
