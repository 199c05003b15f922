#!/usr/bin/env bash
# All tests of the library. A test program in which something failed is run a second time, and says so:
# kills at random and a machine that stands still for a minute make one failure news and two a fault.
# Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
# A test that fails beside a living child leaves its program waiting for that at its end, for ever.
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${host}_RUNNER=timeout -k 10 1800"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

if cargo test --no-fail-fast "$@" 2>&1 | tee "$log"; then
    exit 0
fi
# cargo names what failed at its end, as `-p shmkit --test storm` or `--doc`.
mapfile -t failed < <(sed -n '/^error: [0-9]* targets\? failed/,$ s/^ *`\(.*\)`$/\1/p' "$log")
if [ ${#failed[@]} -eq 0 ]; then
    echo "test: it did not even build" >&2
    exit 101
fi
for program in "${failed[@]}"; do
    echo "== FAILED ONCE, AGAIN: $program"
    # shellcheck disable=SC2086 # several words
    cargo test "$@" $program
done
echo "== FAILED ONCE AND PASSED THEN: ${failed[*]}"
