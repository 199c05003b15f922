#!/bin/sh
# Plants one fault after the other and checks that the tests catch each.
#
#   ci/mutants.sh                       every list in ci/mutants
#   ci/mutants.sh ci/mutants/lock.list  these lists only
#
# One mutant a line, four fields between ` ;; `: file, exact old text (occurs once), new text, and
# the command that must then fail. `\n` stands for a line break; empty lines and `#` lines are
# skipped. The faults go into a copy of the tree, never into the tree itself.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ci/mutants/*.list

# A target folder of its own: cargo tells copies of one tree apart by the times of their files only,
# and would take what another copy, or a mutant before, has left there for fresh.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
copy=$work/tree log=$work/log original=$work/original
lists=$(cat "$@")

export CARGO_TARGET_DIR="$work/target" RUST_BACKTRACE=0
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-2}"
# A mutant is built more often than it runs: seconds instead of a minute each.
export CARGO_PROFILE_RELEASE_INCREMENTAL=true CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1
export CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_DEV_DEBUG=false

mkdir "$copy"
git ls-files -z --cached --others --exclude-standard | tar -cf - --null -T - | tar -xf - -C "$copy"
cd "$copy"

# Replaces $old by $new in the file $1, if it occurs there exactly once.
plant() {
    old=$2 new=$3 perl -0777 -pi -e '
        my ($old, $new) = map { s/\\n/\n/gr } @ENV{qw(old new)};
        my $at = index $_, $old;
        die "the old text does not occur\n" if $at < 0;
        die "the old text occurs twice\n" if index($_, $old, $at + 1) >= 0;
        substr $_, $at, length $old, $new;
    ' "$1"
}

# Runs a command, for so long that only a hang takes longer, builds included.
run() {
    case $1 in # builds only what has the models
        *loom_tests*) export LOOM_TARGETS=--lib ;;
        *'loom.sh ring::'*) export LOOM_TARGETS='--lib --test loom' ;;
        *) export LOOM_TARGETS='--test loom' ;;
    esac
    timeout 1200 sh -c "$1" >"$log" 2>&1 </dev/null
}

printf '%s\n' "$lists" | grep -v '^#' | sed -n 's/.* ;; //p' | sort -u | while IFS= read -r command; do
    run "$command" || { echo "FAILS WITHOUT A MUTANT: $command"; cat "$log"; exit 1; }
    echo "ready   $command"
done

caught=0 bad=0
while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    file=${line%% ;; *} rest=${line#* ;; }
    old=${rest%% ;; *} rest=${rest#* ;; }
    new=${rest%% ;; *} command=${rest#* ;; }
    cp "$file" "$original"
    if ! plant "$file" "$old" "$new" || cmp -s "$file" "$original"; then
        verdict=STALE
    else
        status=0
        run "$command" || status=$?
        case $status in
            0) verdict=MISSED ;;
            124) verdict=HANGS ;;
            *) if grep -q 'could not compile' "$log"; then verdict=BROKEN; else verdict=caught; fi ;;
        esac
    fi
    cp "$original" "$file"
    printf "%s  %s: %s -> %s\n" "$verdict" "$file" "$old" "$new"
    if [ $verdict = caught ]; then caught=$((caught + 1)); else bad=$((bad + 1)); fi
done <<LINES
$lists
LINES

echo "$caught caught, $bad not"
[ $bad -eq 0 ]
