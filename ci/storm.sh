#!/usr/bin/env bash
# The heavy storms: 10,000 kills for each scenario, some minutes each, and 100,000 for each of the
# queues. `cargo test --test storm` alone makes 150. Arguments go to the test binary: a filter, --list;
# SHMKIT_STORM_KILLS is then how many, 10,000 if not said.
set -euo pipefail
cd "$(dirname "$0")/.."
storm() {
    SHMKIT_STORM_KILLS="${SHMKIT_STORM_KILLS:-$1}" \
        cargo test --quiet --release --test storm -- "${@:2}"
}
if [ $# -gt 0 ]; then
    storm 10000 "$@"
else
    storm 10000 --skip queue::
    storm 100000 queue::
fi
