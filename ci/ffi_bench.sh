#!/usr/bin/env bash
# What calls cost from C, with the shared library and with the static one, beside the same from Rust; an alarm
# where C costs more than 3 ns beyond Rust for each call of the row. Run it on a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
out=$target/ffi
mkdir -p "$out"
cargo build --release --quiet -p shmkit-ffi --example calls
cargo rustc --release --quiet -p shmkit-ffi --lib --crate-type cdylib
cp "$target/release/libshmkit.so" "$out/libshmkit.so.1"
cargo rustc --release --quiet -p shmkit-ffi --lib --crate-type staticlib
cc -std=c11 -O2 -D_GNU_SOURCE -Iffi/include ffi/benches/calls.c "$out/libshmkit.so.1" \
    -Wl,-rpath,"$PWD/$out" -o "$out/calls-shared"
cc -std=c11 -O2 -D_GNU_SOURCE -Iffi/include ffi/benches/calls.c "$target/release/libshmkit.a" \
    -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc -Wl,--gc-sections -o "$out/calls-static"
"$target/release/examples/calls" >"$out/calls.rust"
"$out/calls-shared" >"$out/calls.shared"
"$out/calls-static" >"$out/calls.static"
# Calls of C in a row of the table; what a batch costs is for each element of it.
awk '
    { value = $NF; sub(/ +[0-9.]+$/, "") }
    FILENAME ~ /rust$/ { rust[$0] = value; next }
    FILENAME ~ /shared$/ { shared[$0] = value; order[++n] = $0; next }
    { fixed[$0] = value }
    END {
        printf "%-24s %8s %8s %8s\n", "ns", "Rust", "C .so", "C .a"
        for (i = 1; i <= n; i++) {
            row = order[i]
            calls = row ~ /loan|reserve/ ? 4 : row ~ /_i64|empty/ ? 1 : 2
            much = row in rust && shared[row] - rust[row] > 3 * calls
            printf "%-24s %8s %8s %8s%s\n", row, rust[row], shared[row], fixed[row], much ? "  MORE" : ""
            alarm += much
        }
        exit alarm > 0
    }' "$out/calls.rust" "$out/calls.shared" "$out/calls.static"
