//! Writes what is made from the types: the CustomResourceDefinitions in `crds/yaml` and the reference in
//! `docs/reference.md`. `make generate` calls it; a test compares.
//!
//! Usage: `generate [ROOT]`, the repository's root, by default the current folder.

mod reference;

use std::fs;
use std::path::PathBuf;

use kube::ResourceExt as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let definitions = gochat_crds::definitions();
    let folder = root.join("crds/yaml");
    fs::create_dir_all(&folder)?;
    for definition in &definitions {
        let yaml = serde_saphyr::to_string(definition)?;
        fs::write(folder.join(format!("{}.yaml", definition.name_any())), yaml)?;
    }
    let docs = root.join("docs");
    fs::create_dir_all(&docs)?;
    fs::write(docs.join("reference.md"), reference::markdown(&definitions))?;
    Ok(())
}
