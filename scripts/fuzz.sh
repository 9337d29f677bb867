#!/usr/bin/env bash
# Fuzzes every decoder of what others send, each for the given time: fuzz.sh [SECONDS]
# Needs a nightly toolchain (libFuzzer's instrumentation) and cargo-fuzz, which it installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../e2e/fuzz"

seconds=${1:-60}
cargo +nightly --version >/dev/null || { echo "fuzz: no nightly toolchain (rustup toolchain install nightly)" >&2; exit 1; }
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
for target in fuzz_targets/*.rs; do
  target=$(basename "$target" .rs)
  echo "fuzz: $target for $seconds s"
  # Texts of our limits are at most 64 KiB; longer input finds nothing that shorter does not.
  cargo +nightly fuzz run --fuzz-dir . "$target" -- -max_total_time="$seconds" -max_len=65536 -print_final_stats=1
done
