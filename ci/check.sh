#!/usr/bin/env bash
# Format, lints and documentation, with warnings denied; every set of features builds.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets --features shared_memory -- -D warnings
cargo clippy --quiet --no-default-features -- -D warnings
cargo clippy --quiet --no-default-features --features serde -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --features shared_memory
echo "check: format, lints and documentation are clean"
