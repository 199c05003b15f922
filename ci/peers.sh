#!/usr/bin/env bash
# Shows how the library differs from `raw_sync` and `shared_memory`: a dead holder, a timeout, the
# creation race. Builds those crates, from a lock file of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --manifest-path benches/peers/Cargo.toml "$@"
