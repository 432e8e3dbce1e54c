//! What is wrong with a spec, and where.

/// What is wrong with a spec: `file:line:column: what, expected ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(file, *position))]
pub struct SpecError {
    /// The file, or what else the spec came from (`built-in oltp`, `--rows`).
    pub file: String,
    /// Line and column, from 1, where known.
    pub position: Option<(usize, usize)>,
    /// What is wrong, and what was expected.
    pub message: String,
}

fn place(file: &str, position: Option<(usize, usize)>) -> String {
    match position {
        Some((line, column)) => format!("{file}:{line}:{column}: "),
        None => format!("{file}: "),
    }
}

impl SpecError {
    /// An error of the file as a whole.
    pub(crate) fn new(file: &str, message: impl Into<String>) -> Self {
        SpecError {
            file: file.to_owned(),
            position: None,
            message: message.into(),
        }
    }

    /// An error at byte `offset` of `text`.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        SpecError {
            file: file.to_owned(),
            position: Some((line, column)),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "a = 1\nü = 2\n";
        let error = SpecError::at("f.toml", text, text.find('2').unwrap(), "bad");
        assert_eq!(error.to_string(), "f.toml:2:5: bad");
        assert_eq!(SpecError::new("f.toml", "gone").to_string(), "f.toml: gone");
    }
}
