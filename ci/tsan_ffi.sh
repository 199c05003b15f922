#!/usr/bin/env bash
# ThreadSanitizer across the border of the languages: the library, instrumented, and the C++ suite of many
# threads, instrumented too, in one program. It must report nothing on three runs; and it must report a race
# that is put there on purpose, or it would prove nothing.
#
# Needs a nightly Rust and a clang of version 15 or later (apt-get install clang-19); says so and does nothing
# where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

clang=
for version in 22 21 20 19 18 17 16 15; do
    if command -v "clang++-$version" >/dev/null 2>&1; then
        clang=clang++-$version
        break
    fi
done
nightly=$(rustup toolchain list 2>/dev/null | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | head -n 1 || true)
if [ -z "$clang" ] || [ -z "$nightly" ]; then
    echo "SKIPPED: ThreadSanitizer needs a nightly Rust and clang++-15 or later: '$nightly', '$clang'" >&2
    exit 0
fi

target=${CARGO_TARGET_DIR:-target}/tsan
# Uninstrumented code between instrumented code would make false reports: the standard library's atomics are
# compiled into ours.
RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
    cargo "+$nightly" rustc --quiet -p shmkit-ffi --lib --crate-type staticlib --profile dev \
    --target x86_64-unknown-linux-gnu --target-dir "$target"
archive=$target/x86_64-unknown-linux-gnu/debug/libshmkit.a

build() { # NAME FLAGS..
    "$clang" -std=c++17 -g -O1 -fsanitize=thread -Iffi/include "${@:2}" \
        ffi/tests/cpp/threads.cpp -o "$target/$1" "$archive" -lgcc_s -lutil -lrt -lpthread -lm -ldl
}
build threads
build racy -DRACY
export TSAN_OPTIONS="halt_on_error=1 exitcode=66"
for run in 1 2 3; do
    timeout 600 "$target/threads" || { echo "tsan: run $run failed with $?"; exit 1; }
done
caught=0
for _ in 1 2 3 4 5; do
    code=0
    timeout 600 "$target/racy" >"$target/said" 2>&1 || code=$?
    [ "$code" != 66 ] || caught=$((caught + 1))
done
[ "$caught" -gt 0 ] || { echo "tsan: the race that is there on purpose was not seen"; exit 1; }
echo "tsan: three clean runs; the race on purpose was seen in $caught of 5"
