#!/bin/sh
# Runs the loom models. Arguments go to the test binary: ci/loom.sh lock::
#
# LOOM_MAX_PREEMPTIONS (default 3) bounds how often a thread is interrupted where it did not have to
# wait; 2 is quicker, nothing is exhaustive. LOOM_TARGETS: where the models are, if not everywhere.
set -eu
cd "$(dirname "$0")/.."

# Everything is compiled differently under loom, so it gets a folder of its own.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
# shellcheck disable=SC2086 # words
exec cargo test --release --quiet ${LOOM_TARGETS:---lib --test loom} -- "$@"
