//! How the harness was built, for the records that it writes: revision, whether there were changes beside it, compiler, target.
//!
//! What is not known is left out: a tarball has no revision. `PALIMPSEST_REVISION` says it where somebody who packages it knows
//! better than `git`. It runs again when a source of the program changes, after which the program is built anyway, and when another
//! revision is checked out or made.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program's sources, from the root.
const SOURCES: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "engine/src",
    "harness/src",
    "harness/schedules/src",
    "reports/src",
    "reports/templates",
    "workloads/src",
    "workloads/units/src",
];

fn main() {
    let root = root();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PALIMPSEST_REVISION");
    for source in SOURCES {
        // A path that is not there would mean that everything is built again each time.
        let path = root.join(source);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    tell("PALIMPSEST_TARGET", std::env::var("TARGET").ok());
    tell("PALIMPSEST_COMPILER", compiler());
    if let Ok(revision) = std::env::var("PALIMPSEST_REVISION") {
        tell("PALIMPSEST_BUILD_REVISION", Some(revision));
    } else if is_checkout(&root) {
        watch_revision(&root);
        tell("PALIMPSEST_BUILD_REVISION", git(&root, &["rev-parse", "HEAD"]));
        // Of what the program is made of only: with nothing else does this run again.
        let mut status = vec![
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            "harness/build.rs",
        ];
        status.extend(SOURCES);
        let changes = git(&root, &status);
        tell(
            "PALIMPSEST_BUILD_DIRTY",
            changes.map(|changes| (!changes.is_empty()).to_string()),
        );
    }
}

fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.as_deref().and_then(Path::parent);
    root.unwrap_or(Path::new("..")).to_path_buf()
}

fn tell(name: &str, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.is_empty() && !value.contains('\n')) {
        println!("cargo::rustc-env={name}={value}");
    }
}

/// The first line of what the compiler says of itself.
fn compiler() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.to_owned())
}

/// Whether the root is that of a checkout: a tarball may have been unpacked inside one of something else.
fn is_checkout(root: &Path) -> bool {
    let top = git(root, &["rev-parse", "--show-toplevel"]).map(PathBuf::from);
    let same = |top: PathBuf| Some(top.canonicalize().ok()? == root.canonicalize().ok()?);
    top.and_then(same).unwrap_or(false)
}

/// Runs again when the revision is another. The index is not watched: looking at the state of a checkout writes it.
fn watch_revision(root: &Path) {
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

/// What `git` answers; `None` where it is not installed or has no answer. It must not write anything.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
