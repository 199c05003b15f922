#!/usr/bin/env bash
# The heavy campaign: kills at every instruction of every operation, as the compiler leaves it with
# and without optimisation. `cargo test --test crash` alone samples all but the short operations.
# Arguments go to the test binary: a filter, --list.
set -euo pipefail
cd "$(dirname "$0")/.."
export SHMKIT_CRASH=full
cargo test --quiet --test crash -- "$@"
cargo test --quiet --release --test crash -- "$@"
