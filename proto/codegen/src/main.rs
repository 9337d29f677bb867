//! Writes `proto/src/generated/` from the `.proto` files: `cargo run -p gochat-proto-codegen`.
//!
//! The result is checked in, so that building GoChat runs no code generator; `make generate` has to leave no diff.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message as _;

/// Packages whose messages travel as JSON too.
const JSON_PACKAGES: [&str; 2] = [".gochat.client.v1", ".gochat.types.v1"];

fn main() -> Result<()> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("codegen has a parent folder")?;
    let out = proto.join("src/generated");
    std::fs::create_dir_all(&out)?;

    let files = proto_files(&proto.join("gochat"))?;
    let descriptors = protox::compile(&files, [proto]).context("compile .proto files")?;
    let encoded = descriptors.encode_to_vec();
    std::fs::write(out.join("descriptors.bin"), &encoded)?;

    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(&out)
        .compile_fds(descriptors)
        .context("generate messages and services")?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .ignore_unknown_fields()
        .out_dir(&out)
        .build(&JSON_PACKAGES)
        .context("generate JSON mapping")?;
    Ok(())
}

fn proto_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
