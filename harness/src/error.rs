//! The harness's own errors and the exit code that each leads to.

use std::path::Path;
use std::process::ExitCode;

/// Result of a harness operation.
pub(crate) type Result<T, E = HarnessError> = std::result::Result<T, E>;

/// What stops a command. The text always names what and where, and what would help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HarnessError {
    /// The command line, a workload or a specification cannot be used as given.
    #[error("{0}")]
    Usage(String),
    /// The run's own machinery failed: a file, a child process, a clock.
    #[error("{0}")]
    Run(String),
    /// A run was made and its result, or a database, failed its verification.
    #[error("{0}")]
    Verification(String),
}

impl HarnessError {
    /// A file operation that the operating system refused.
    pub(crate) fn io(what: &str, path: &Path, source: &std::io::Error) -> Self {
        Self::Run(format!("cannot {what} {}: {source}", path.display()))
    }

    /// The process exit code for this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Run(_) => Exit::Failed,
            Self::Verification(_) => Exit::Verification,
        }
    }
}

/// How the process ends. The numbers are part of the command line's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything that was measured and verified is good.
    Good,
    /// A criterion that was measured failed, or a run could not be made.
    Failed,
    /// The command line or a specification is wrong.
    Usage,
    /// A verification failed.
    Verification,
    /// The run was ended by Ctrl-C; what it had is recorded.
    Interrupted,
    /// Likewise, by SIGTERM.
    Terminated,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Verification => 3,
            // As a shell tells that a signal has ended a process: 128 and the signal's number.
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
