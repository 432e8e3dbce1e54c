#!/usr/bin/env bash
# Mutation testing of what durability rests on: recovery, wal, store. Changes the code in small ways, one at a time, and
# reports the changes that no test notices.
#   bash scripts/mutants.sh [FILE..]            default: engine/src/recovery.rs, wal/*.rs and store/*.rs
#   SHARD=0/4 bash scripts/mutants.sh           a quarter of them (each takes some 5 seconds)
# Needs cargo-mutants (cargo install --locked cargo-mutants). Works in a copy of the tree; results are in
# target/mutants/mutants.out. What the unit tests miss may still be caught by the slower tests of the engine as a whole:
#   TESTS="--lib --test suite" bash scripts/mutants.sh engine/src/recovery.rs
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo mutants --version >/dev/null 2>&1; then
  echo "cargo-mutants is missing; see the top of $0" >&2
  exit 2
fi
files=("$@")
[ ${#files[@]} -gt 0 ] || files=(engine/src/recovery.rs 'engine/src/wal/*.rs' 'engine/src/store/*.rs')
read -r -a tests <<<"${TESTS:---lib}"

# Little optimisation, no debug information: building is most of the time.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
mkdir -p target/mutants
cargo mutants -p engine "${files[@]/#/--file=}" --exclude 'engine/src/**/fuzzing.rs' \
  ${SHARD:+--shard "$SHARD" --sharding round-robin} --output target/mutants --no-shuffle --timeout "${TIMEOUT:-60}" \
  --cargo-arg=--config='profile.dev.package."*".opt-level=3' \
  --cargo-arg=--target-dir="$PWD/target/mutants/build" -- "${tests[@]}"
