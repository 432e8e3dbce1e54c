#!/usr/bin/env bash
# The whole check: format, dependencies, lints, tests, documentation. Needs a Rust toolchain and a C compiler; cargo-deny is
# installed below target/ where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# Of the harness, with what needs no more than a C compiler; where nothing can be mounted, tests of fuse say so and pass.
features=schedules,sqlite
[ "$(uname)" = Linux ] && features+=,fuse

step() { printf '\n== %s\n' "$1"; }

if ! command -v cargo >/dev/null 2>&1; then
  echo "cargo not found: install Rust from https://rustup.rs" >&2
  exit 2
fi
for component in rustfmt clippy; do
  cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done

step "format"
cargo fmt --all --check
step "dependencies: licences, sources"
deny=(cargo deny)
if ! cargo deny --version >/dev/null 2>&1; then
  [ -x target/tools/bin/cargo-deny ] || cargo install --locked --debug --quiet --root target/tools --version 0.20.2 cargo-deny
  deny=(target/tools/bin/cargo-deny)
fi
"${deny[@]}" --locked --config .github/deny.toml --log-level error check bans licenses sources
step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo clippy -p harness --all-targets --features "$features" --locked -- -D warnings
step "tests"
# A test runs this program, and to test all targets does not build it.
cargo build -p harness --example own_engine --locked
cargo test --workspace --all-targets --locked
step "tests of the harness's features"
cargo build -p harness --example own_engine --features "$features" --locked
cargo test -p harness --lib --test suite --features "$features" --locked -- schedule sqlite power disk fuse
step "documentation examples"
cargo test --workspace --doc --locked
step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
echo
echo "all checks passed"
