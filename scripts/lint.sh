#!/usr/bin/env bash
# What a reviewer should not have to look for: formatting, clippy, generated code, protocol compatibility, dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

e2e/engines/install.sh build
cargo fmt --all --check
cargo clippy --workspace --all-targets -- -D warnings
cargo run -q -p gochat-proto-codegen -- check
cargo run -q -p gochat-proto-codegen -- breaking
if cargo deny --version >/dev/null 2>&1; then
  cargo deny check
else
  echo "lint: cargo-deny is not installed, so deny.toml was not checked (cargo install cargo-deny)"
fi
