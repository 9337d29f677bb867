//! Rust from the `.proto` files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Packages whose messages travel as JSON too.
const JSON_PACKAGES: [&str; 2] = [".gochat.client.v1", ".gochat.types.v1"];

/// All that is generated, into the folder `out`.
pub(crate) fn write(proto: &Path, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let descriptors = descriptors(proto)?;
    let encoded = descriptors.encode_to_vec();
    std::fs::write(out.join("descriptors.bin"), &encoded)?;

    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(out)
        .compile_fds(descriptors)
        .context("generate messages and services")?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .ignore_unknown_fields()
        .out_dir(out)
        .build(&JSON_PACKAGES)
        .context("generate JSON mapping")?;
    Ok(())
}

/// Of the `.proto` files as they are now.
pub(crate) fn descriptors(proto: &Path) -> Result<FileDescriptorSet> {
    protox::compile(proto_files(&proto.join("gochat"))?, [proto]).context("compile .proto files")
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
