#!/usr/bin/env bash
# Runs the benches of the library, then those against its peers. Takes some minutes; run it on a
# quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench -p shmkit-benches
[ ! -f benches/peers/Cargo.toml ] || cargo bench --manifest-path benches/peers/Cargo.toml
