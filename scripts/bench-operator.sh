#!/usr/bin/env bash
# What an operator costs that looks after 1,000 clusters (CLUSTERS=n for another number): prints the table of docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo bench --quiet -p gochat-operator --bench clusters
