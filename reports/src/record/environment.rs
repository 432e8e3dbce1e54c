//! Where and how a run was made: command, build, machine.

use serde::{Deserialize, Serialize};

/// The command line of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Command {
    /// The arguments as the program got them, program first.
    pub argv: Vec<String>,
    /// The command as a person would type it, for instance `cargo run -p harness -- --workload oltp`.
    /// Without it the display form is the quoted arguments.
    #[serde(default)]
    pub display: Option<String>,
}

impl Command {
    /// The command as text for a shell; arguments are quoted where a shell would need it.
    #[must_use]
    pub fn to_shell(&self) -> String {
        if let Some(display) = &self.display {
            return display.clone();
        }
        let quoted: Vec<String> = self.argv.iter().map(|argument| quote(argument)).collect();
        quoted.join(" ")
    }
}

/// Quotes one argument for a POSIX shell when it holds anything but plain characters.
pub(super) fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// The build profile of the measuring program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Made for development; its figures are not for quoting.
    #[default]
    Dev,
    /// Made for measuring.
    Release,
}

/// How the measuring program was built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Build {
    /// Version of the program.
    pub version: String,
    /// Profile it was compiled with.
    pub profile: Profile,
    /// Whether debug assertions were compiled in.
    pub debug_assertions: bool,
    /// The source revision, when known.
    #[serde(default)]
    pub revision: Option<String>,
    /// Whether sources were changed beside that revision, when known.
    #[serde(default)]
    pub dirty: Option<bool>,
    /// The compiler, when known.
    #[serde(default)]
    pub compiler: Option<String>,
    /// The target triple or architecture, when known.
    #[serde(default)]
    pub target: Option<String>,
}

impl Build {
    /// Whether figures of this build may be quoted: optimised, without debug assertions.
    #[must_use]
    pub fn is_for_quoting(&self) -> bool {
        self.profile == Profile::Release && !self.debug_assertions
    }

    /// The revision in short, and whether there were changes beside it; `None` where it is not known.
    #[must_use]
    pub fn revision_words(&self) -> Option<String> {
        /// As many digits of a commit's name as are told apart.
        const SHORT: usize = 12;
        let revision = self.revision.as_ref()?;
        let is_commit = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short = if is_commit { &revision[..SHORT] } else { revision };
        let changes = if self.dirty == Some(true) {
            ", with changes"
        } else {
            ""
        };
        Some(format!("{short}{changes}"))
    }
}

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment {
    /// The name that the machine has given itself.
    #[serde(default)]
    pub host: Option<String>,
    /// Name of the operating system, for instance `Debian GNU/Linux 12`.
    #[serde(default)]
    pub os: Option<String>,
    /// Kernel name and release.
    #[serde(default)]
    pub kernel: Option<String>,
    /// CPU model as the system names it.
    #[serde(default)]
    pub cpu_model: Option<String>,
    /// Logical processors that this process may use.
    #[serde(default)]
    pub cpu_cores: Option<u32>,
    /// Physical memory in bytes.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Type of the file system that holds the data directory, for instance `ext4`.
    #[serde(default)]
    pub file_system: Option<String>,
    /// Mount options of that file system.
    #[serde(default)]
    pub mount_options: Option<String>,
    /// The device that holds the data directory.
    #[serde(default)]
    pub device: Option<String>,
    /// CPU frequency governor, when the machine tells.
    #[serde(default)]
    pub cpu_governor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_quoted_only_where_a_shell_needs_it() {
        let command = Command {
            argv: vec![
                "harness".into(),
                "--out".into(),
                "my dir".into(),
                "it's".into(),
                String::new(),
            ],
            display: None,
        };
        assert_eq!(command.to_shell(), r"harness --out 'my dir' 'it'\''s' ''");
    }

    #[test]
    fn a_revision_is_short_and_tells_of_changes() {
        let words = |revision: &str, dirty| {
            let build = Build {
                revision: Some(revision.into()),
                dirty,
                ..Build::default()
            };
            build.revision_words().unwrap()
        };
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(words(commit, Some(false)), "0123456789ab");
        assert_eq!(words(commit, Some(true)), "0123456789ab, with changes");
        assert_eq!(words("v1.2-package", None), "v1.2-package");
        assert_eq!(Build::default().revision_words(), None);
    }

    #[test]
    fn only_an_optimised_build_without_assertions_is_for_quoting() {
        let mut build = Build {
            profile: Profile::Release,
            ..Build::default()
        };
        assert!(build.is_for_quoting());
        build.debug_assertions = true;
        assert!(!build.is_for_quoting());
        assert!(!Build::default().is_for_quoting());
    }
}
