#!/usr/bin/env bash
# The heavy storms: 10,000 kills for each scenario, some minutes each. `cargo test --test storm` alone
# makes 150. Arguments go to the test binary: a filter, --list.
set -euo pipefail
cd "$(dirname "$0")/.."
export SHMKIT_STORM_KILLS="${SHMKIT_STORM_KILLS:-10000}"
cargo test --quiet --release --test storm -- "$@"
