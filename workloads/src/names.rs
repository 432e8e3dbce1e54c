//! Looking a name up in a closed list, with a suggestion when it is nearly right.

/// The member of `all` that is called `text`; else a sentence that says what was expected.
pub(crate) fn parse<T: Copy>(
    what: &str,
    text: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter()
        .copied()
        .find(|&member| name(member) == text)
        .ok_or_else(|| unknown(what, text, all.iter().map(|&member| name(member))))
}

/// The sentence for a name that is not in the list.
pub(crate) fn unknown<'a>(what: &str, text: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match suggestion(text, &known) {
        Some(best) => format!(
            "unknown {what} `{text}`; did you mean `{best}`? (there are: {})",
            known.join(", ")
        ),
        None => format!("unknown {what} `{text}`; expected one of: {}", known.join(", ")),
    }
}

/// The name most like `text`, if any is close.
pub(crate) fn suggestion<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    known
        .iter()
        .map(|&name| (strsim::jaro_winkler(&plain(text), &plain(name)), name))
        .filter(|&(similarity, _)| similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_listed() {
        assert_eq!(suggestion("ycsb_a", &["ycsb-a", "oltp"]), Some("ycsb-a"));
        assert_eq!(suggestion("zzz", &["ycsb-a", "oltp"]), None);
        assert!(unknown("workload", "zzz", ["a", "b"].into_iter()).contains("expected one of: a, b"));
    }
}
