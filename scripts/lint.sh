#!/usr/bin/env bash
# What a reviewer should not have to look for: formatting, clippy, generated code, protocol compatibility, dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

e2e/engines/install.sh build
cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
cargo run -q -p gochat-proto-codegen -- check
cargo run -q -p gochat-proto-codegen -- breaking
# README.md claims what tests show: each test that it names is there.
for name in $(grep -o '`[a-z0-9]*\(_[a-z0-9]*\)\{3,\}`' README.md | tr -d '`'); do
  git grep -q "fn $name(" -- '*.rs' || { echo "lint: README.md names a test that is not there: $name" >&2; exit 1; }
done
if cargo deny --version >/dev/null 2>&1; then
  # Without the warnings: which crates are there in two versions fills pages.
  cargo deny --log-level error check bans licenses sources
  # Advisories are in a Git repository of RustSec's, which not every machine reaches.
  if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --offline --log-level error check advisories
  else
    echo "lint: the advisory database can't be fetched from here, so advisories were not checked"
  fi
else
  echo "lint: cargo-deny is not installed, so deny.toml was not checked (cargo install --locked cargo-deny)"
fi
