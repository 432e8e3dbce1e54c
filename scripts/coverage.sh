#!/usr/bin/env bash
# Line coverage of the modules that durability rests on (wal, store, checkpoint, recovery) by the engine's tests.
#   bash scripts/coverage.sh       prints lines covered for each file, and the lines that no test reached
# Needs cargo-tarpaulin (cargo install --locked cargo-tarpaulin), jq, and ptrace (Linux). Takes some ten minutes. Parts of
# statements over several lines are counted as missed now and then.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo tarpaulin --version >/dev/null 2>&1 || ! command -v jq >/dev/null 2>&1; then
  echo "cargo-tarpaulin or jq is missing; see the top of $0" >&2
  exit 2
fi
out=target/coverage
mkdir -p "$out"
# No optimisation: a breakpoint on each line needs lines that are still there. The slowest tests are left out.
export CARGO_PROFILE_DEV_OPT_LEVEL=0
slow=(compressed_with_zstd a_disk_that_fills every_damaged plans:: damage::every)
cargo tarpaulin --engine ptrace -p engine --lib --test suite --skip-clean --target-dir "$out/build" \
  --include-files 'engine/src/wal/*' 'engine/src/store/*' engine/src/checkpoint.rs engine/src/recovery.rs \
  --exclude-files '*/tests/*' '*/tests.rs' '*/fuzzing.rs' --timeout 900 --out Json --output-dir "$out" \
  -- --test-threads 2 "${slow[@]/#/--skip=}" >"$out/log" 2>&1 || { tail -n 30 "$out/log" >&2; exit 1; }

jq -r --arg root "$PWD/" '
  def name: (.path | if type == "array" then .[1:] | join("/") | "/" + . else . end) | ltrimstr($root);
  .files[] | [name, .covered, .coverable,
    ([.traces[] | select(.stats.Line == 0) | .line] | map(tostring) | join(" "))] | @tsv
' "$out/tarpaulin-report.json" | sort | awk -F'\t' '
  { split($1, part, "/"); module = part[3]; covered[module] += $2; all[module] += $3
    printf "%-36s %4d of %4d  %5.1f %%  %s\n", $1, $2, $3, ($3 ? 100 * $2 / $3 : 100), ($4 == "" ? "" : "missed: " $4) }
  END { print ""; for (m in all) printf "%-36s %4d of %4d  %5.1f %%\n", m, covered[m], all[m], 100 * covered[m] / all[m] }'
