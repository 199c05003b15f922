#!/usr/bin/env bash
# The C interface as it is shipped, and the checks that take tools: the C suites with an optimised library,
# under the sanitizers of the compiler and under valgrind; that hot functions cannot panic; and the ABI of the
# shared library against a stored one, where abidiff is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
out=$target/ffi
mkdir -p "$out"

echo "== the suites, optimised"
cargo test --release --quiet -p shmkit-ffi
archive=$target/release/deps/libshmkit.a library=$target/release/deps/libshmkit.so
libs="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"
sources=$(ls ffi/tests/c/*.c | grep -v interop.c)
suites="data managers messages nulls pool process smoke sync_objects"

echo "== hot functions cannot panic"
hot="shmkit_tx_push shmkit_tx_push_n shmkit_tx_reserve shmkit_tx_commit shmkit_rx_pop shmkit_rx_pop_n
    shmkit_rx_peek shmkit_rx_release shmkit_lock_acquire shmkit_lock_release shmkit_array_load_i64
    shmkit_array_store_i64 shmkit_array_add_i64 shmkit_array_cas_i64"
for name in $hot; do
    code=$(objdump -d --no-show-raw-insn --disassemble="$name" "$library")
    grep -q "<$name>:" <<<"$code" || { echo "$name is not there"; exit 1; }
    if grep -E "panic|unwrap_failed|expect_failed" <<<"$code"; then
        echo "$name can panic"
        exit 1
    fi
done

echo "== AddressSanitizer and UndefinedBehaviorSanitizer"
# shellcheck disable=SC2086
cc -std=c11 -g -O1 -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all \
    -Iffi/include $sources "$archive" $libs -o "$out/suites-asan"
for suite in $suites; do
    ASAN_OPTIONS=detect_leaks=1 timeout 300 "$out/suites-asan" "$suite"
done

if command -v valgrind >/dev/null 2>&1; then
    echo "== valgrind"
    # shellcheck disable=SC2086
    cc -std=c11 -g -O1 -D_GNU_SOURCE -Iffi/include $sources "$archive" $libs -o "$out/suites-plain"
    # Not those that start processes by the executable, which would be valgrind, and not the one that asks for
    # more memory than there is, which valgrind refuses in its own words.
    for suite in data messages managers smoke sync_objects; do
        timeout 300 valgrind --quiet --error-exitcode=9 --leak-check=full \
            --show-leak-kinds=definite --errors-for-leak-kinds=definite --child-silent-after-fork=yes \
            "$out/suites-plain" "$suite"
    done
else
    echo "SKIPPED: valgrind is not installed"
fi

if command -v abidiff >/dev/null 2>&1; then
    echo "== ABI of the shared library"
    stored=ffi/abi/libshmkit.abi
    abidw --out-file "$out/libshmkit.abi" --headers-dir ffi/include "$library"
    if [ -f $stored ]; then
        abidiff --no-added-syms $stored "$out/libshmkit.abi"
    else
        echo "there is no $stored yet: copy $out/libshmkit.abi there at a release"
    fi
else
    echo "SKIPPED: abidiff is not installed; tests/abi.rs compares the header"
fi
echo "ffi: clean"
