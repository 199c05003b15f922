#!/usr/bin/env bash
# Processes start in programs of every kind: without the hook, optimised as a whole, aborting on
# panic, and linked in each way that the toolchain has.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    echo "== $*"
    "$@"
}

run cargo run -q --example process_hello
run cargo run -q --no-default-features --features serde --example process_init
run cargo test -q --no-default-features --features serde --test process_init
run env CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_PANIC=abort \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 cargo run -q --release --example process_failures

host=$(rustc -vV | sed -n 's/^host: //p')
for flags in "-C relocation-model=static" "-C target-feature=+crt-static" \
    "-C target-feature=+crt-static -C relocation-model=static"; do
    # A target named by --target keeps the flags from build scripts and macros.
    run env RUSTFLAGS="$flags" cargo run -q --target "$host" --example process_hello
done
