//! Keeps `proto/src/generated/` and the `.proto` files in step.
//!
//! ```text
//! cargo run -p gochat-proto-codegen                    write the generated code (`make generate`)
//! cargo run -p gochat-proto-codegen -- check           fail where it is not up to date
//! cargo run -p gochat-proto-codegen -- breaking [REF]  fail where a client or a stored record of REF would be misread;
//!                                                      REF: the last release's tag, else origin/main
//! ```
//!
//! The result is checked in, so that building GoChat runs no code generator.
#![allow(clippy::print_stdout, reason = "a command-line tool: what it prints is its result")]

mod breaking;
mod generate;
mod release;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn main() -> Result<ExitCode> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("codegen has a parent folder")?;
    let generated = proto.join("src/generated");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => generate::write(proto, &generated).map(|()| ExitCode::SUCCESS),
        ["check"] => check(proto, &generated),
        ["breaking", reference @ ..] if reference.len() < 2 => {
            check_breaking(proto, reference.first().copied())
        }
        other => bail!("unknown arguments {other:?}: none, check, or breaking [REF]"),
    }
}

fn check(proto: &Path, generated: &Path) -> Result<ExitCode> {
    let fresh = tempfile::tempdir()?;
    generate::write(proto, fresh.path())?;
    let differing: Vec<PathBuf> = files(fresh.path())?
        .into_iter()
        .chain(files(generated)?)
        .filter(|name| {
            std::fs::read(fresh.path().join(name)).ok() != std::fs::read(generated.join(name)).ok()
        })
        .collect();
    for name in &differing {
        println!(
            "{}: not what the .proto files generate; run `make generate`",
            generated.join(name).display()
        );
    }
    Ok(if differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().into());
    }
    Ok(names)
}

fn check_breaking(proto: &Path, reference: Option<&str>) -> Result<ExitCode> {
    let Some(reference) = release::resolve(proto, reference)? else {
        println!("protocol: no release tag and no origin/main to compare with, so nothing can break");
        return Ok(ExitCode::SUCCESS);
    };
    let Some(before) = release::descriptors(proto, &reference)? else {
        println!("protocol: {reference} has no descriptors, so nothing can break");
        return Ok(ExitCode::SUCCESS);
    };
    let breaks = breaking::breaks(&before, &generate::descriptors(proto)?);
    for what in &breaks {
        println!("protocol, compared with {reference}: {what}");
    }
    if breaks.is_empty() {
        println!("protocol: compatible with {reference}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("a field leaves for good by `reserved` with its number and its name");
    Ok(ExitCode::FAILURE)
}
