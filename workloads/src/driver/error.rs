//! Why an operation of an engine under test failed, and whether trying again helps.

use std::fmt;

/// What kind of failure it was; the runner counts each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Another transaction changed what this one read or wrote: write conflict, failed validation.
    Conflict,
    /// A lock, or the single writer's place, was not free in time.
    Busy,
    /// The transaction was chosen as the victim of a deadlock.
    Deadlock,
    /// Some other passing trouble that a new attempt may not meet (snapshot too old, write stall).
    Transient,
    /// The engine does not do this; a fact to record, not a failure.
    Unsupported,
    /// Anything else: I/O failure, corruption, misuse. The run ends.
    Fatal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [ErrorKind; 6] = [
        ErrorKind::Conflict,
        ErrorKind::Busy,
        ErrorKind::Deadlock,
        ErrorKind::Transient,
        ErrorKind::Unsupported,
        ErrorKind::Fatal,
    ];

    /// The name used in records.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::Conflict => "conflict",
            ErrorKind::Busy => "busy",
            ErrorKind::Deadlock => "deadlock",
            ErrorKind::Transient => "transient",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Fatal => "fatal",
        }
    }

    /// True if the same transaction, run again from its start, may succeed.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            ErrorKind::Conflict | ErrorKind::Busy | ErrorKind::Deadlock | ErrorKind::Transient
        )
    }
}

/// A failure of an engine under test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct TargetError {
    kind: ErrorKind,
    message: String,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TargetError {
    /// An error of any kind. `message` is the engine's own words.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        TargetError {
            kind,
            message: message.to_string(),
        }
    }

    /// An [`ErrorKind::Conflict`].
    pub fn conflict(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// An [`ErrorKind::Busy`].
    pub fn busy(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Busy, message)
    }

    /// An [`ErrorKind::Deadlock`].
    pub fn deadlock(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Deadlock, message)
    }

    /// An [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// An [`ErrorKind::Fatal`].
    pub fn fatal(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Fatal, message)
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The engine's own words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// True if the same transaction, run again from its start, may succeed.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// The same error with what was being done put before the engine's words.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        TargetError {
            kind: self.kind,
            message: format!("{doing}: {}", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_trouble_is_retryable() {
        let retryable: Vec<&str> = ErrorKind::ALL
            .iter()
            .filter(|k| k.is_retryable())
            .map(|k| k.name())
            .collect();
        assert_eq!(retryable, ["conflict", "busy", "deadlock", "transient"]);
        assert!(!TargetError::fatal("disk gone").is_retryable());
    }

    #[test]
    fn the_message_says_kind_context_and_cause() {
        let error = TargetError::busy("row locked").context("put into accounts");
        assert_eq!(error.to_string(), "busy: put into accounts: row locked");
        assert_eq!(error.kind(), ErrorKind::Busy);
    }
}
