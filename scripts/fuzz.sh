#!/usr/bin/env bash
# Fuzzing: what the engine reads from files, what a workload spec may say, and operations on whole databases, one target
# after the other.
#   bash scripts/fuzz.sh [SECONDS] [TARGET..]      600 seconds of each target if nothing is said
# Needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz (cargo install --locked cargo-fuzz).
# A search starts from the inputs in fuzz/corpus, which the ordinary tests replay, and goes on where the last one
# stopped (target/fuzz). Inputs that fail are left in target/fuzz/<target>/artifacts: make each a test, then fix it.
#   MINIMISE=1 bash scripts/fuzz.sh 0     puts the fewest inputs with the same coverage into fuzz/corpus
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
  echo "cargo-fuzz or a nightly toolchain is missing; see the top of $0" >&2
  exit 2
fi
seconds="${1:-600}"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)

# Everything here but Zstandard is safe Rust, so panics and assertions find more per second than a sanitizer.
options=(--fuzz-dir . --sanitizer none)
failed=()
cargo +nightly fuzz build "${options[@]}"
for target in "${targets[@]}"; do
  work="$PWD/../target/fuzz/$target"
  mkdir -p "$work/inputs" "$work/artifacts"
  dictionary=()
  [ ! -e "$target.dict" ] || dictionary=("-dict=$target.dict")
  if [ "$seconds" -gt 0 ]; then
    echo "== $target: $seconds seconds"
    cargo +nightly fuzz run "${options[@]}" "$target" "$work/inputs" "corpus/$target" -- \
      -max_total_time="$seconds" -timeout=10 -print_final_stats=1 -artifact_prefix="$work/artifacts/" \
      "${dictionary[@]}" 2>"$work/log" || failed+=("$target")
    grep -E 'DONE|panicked|^stat::(number_of_executed|average_exec)' "$work/log" || tail -n 20 "$work/log"
  fi
  if [ -n "${MINIMISE:-}" ]; then
    rm -rf "$work/minimised"
    mkdir "$work/minimised"
    cargo +nightly fuzz run "${options[@]}" "$target" "$work/minimised" "$work/inputs" "corpus/$target" -- \
      -merge=1 -max_len=4096 2>"$work/log"
    # As many as are worth keeping in the repository, of all sizes.
    rm -rf "corpus/$target"
    mkdir "corpus/$target"
    find "$work/minimised" -type f -printf '%s %p\n' | sort -n | cut -d' ' -f2- |
      awk -v all="$(find "$work/minimised" -type f | wc -l)" -v keep="${KEEP:-150}" \
        'all <= keep || int(NR * keep / all) > int((NR - 1) * keep / all)' |
      xargs -r cp -t "corpus/$target"
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
