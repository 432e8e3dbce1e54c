//! "Did you mean": the nearest known names for one that is unknown.

/// Up to three of `known` that look like `given`, best first.
pub(crate) fn suggestions<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| {
            let bonus = if name.starts_with(&given) || given.starts_with(name) {
                0.3
            } else {
                0.0
            };
            (strsim::jaro_winkler(&given, name) + bonus, name)
        })
        .filter(|(score, _)| *score > 0.75)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The sentence that follows "unknown thing": suggestions if any are near, else every known name.
pub(crate) fn did_you_mean(given: &str, known: &[&str]) -> String {
    let near = suggestions(given, known.iter().copied());
    if near.is_empty() {
        format!("known: {}", known.join(", "))
    } else {
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        format!("did you mean {}? known: {}", near.join(" or "), known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_noise_finds_none() {
        assert_eq!(suggestions("oltpp", ["oltp", "ycsb-a", "recovery"]), ["oltp"]);
        assert_eq!(suggestions("palimpset", ["palimpsest", "memory"]), ["palimpsest"]);
        assert!(suggestions("zzzz", ["oltp", "memory"]).is_empty());
        assert!(did_you_mean("zzzz", &["oltp", "memory"]).contains("known: oltp, memory"));
    }
}
