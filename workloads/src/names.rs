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
    format!("unknown {what} `{text}`: {}", did_you_mean(text, &known))
}

/// What to say behind a name that is not in the list: the nearest ones, if any is near, and all of them.
pub fn did_you_mean(text: &str, known: &[&str]) -> String {
    let near = suggestions(text, known);
    let all = known.join(", ");
    if near.is_empty() {
        return format!("known: {all}");
    }
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("did you mean {}? known: {all}", near.join(" or "))
}

/// Up to three names that look like `text`, best first.
fn suggestions<'a>(text: &str, known: &[&'a str]) -> Vec<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let text = plain(text);
    let mut scored: Vec<(f64, &str)> = known
        .iter()
        .map(|&name| {
            let plain = plain(name);
            let is_start = plain.starts_with(&text) || text.starts_with(&plain);
            let bonus = if is_start && !text.is_empty() { 0.3 } else { 0.0 };
            (strsim::jaro_winkler(&text, &plain) + bonus, name)
        })
        .filter(|(score, _)| *score > 0.78)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_listed() {
        assert_eq!(suggestions("ycsb_a", &["ycsb-a", "oltp"]), ["ycsb-a"]);
        assert!(suggestions("zzz", &["ycsb-a", "oltp"]).is_empty());
        assert!(unknown("workload", "zzz", ["a", "b"].into_iter()).contains("known: a, b"));
        assert_eq!(suggestions("oltpp", &["oltp", "ycsb-a", "recovery"]), ["oltp"]);
        assert_eq!(
            suggestions("palimpset", &["palimpsest", "memory"]),
            ["palimpsest"]
        );
        assert!(suggestions("", &["oltp", "memory"]).is_empty());
        assert!(
            did_you_mean("memroy", &["oltp", "memory"])
                .starts_with("did you mean `memory`? known: oltp, memory")
        );
    }
}
