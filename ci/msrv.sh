#!/usr/bin/env bash
# Builds the library with the Rust version that Cargo.toml names.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
toolchain=$(rustup toolchain list 2>/dev/null | sed -n "s/^\($version[^ ]*\).*/\1/p" | head -n 1 || true)
if [ -n "$toolchain" ]; then
    cargo "+$toolchain" build --quiet --features shared_memory
elif rustc --version | grep -q "^rustc $version"; then
    cargo build --quiet --features shared_memory
else
    echo "msrv: no Rust $version is installed here; $(rustc --version) was not taken for it" >&2
    exit 1
fi
echo "msrv: builds with Rust $version"
