//! What the checks found.

use std::fmt;

use serde::Serialize;

/// How a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The last steps: session, operation, and the error if there was one.
    pub did: Vec<String>,
    /// What the rule asks for.
    pub expected: String,
    /// What the engine did instead.
    pub saw: String,
}

/// What came out for one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The engine keeps it.
    Passed,
    /// It does not.
    Broken {
        /// How that was seen.
        finding: Finding,
    },
    /// It is about something that the engine does not declare.
    DoesNotApply {
        /// What is declared.
        why: String,
    },
}

/// One rule, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The rule's name.
    pub rule: String,
    /// What it asks.
    pub about: String,
    /// What came out.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// All rules, checked on one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The engine's name.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// The rules, in the order of checking.
    pub rules: Vec<Checked>,
}

impl Report {
    /// True if no rule is broken.
    pub fn is_conforming(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The names of the rules that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        let broken = self
            .rules
            .iter()
            .filter(|checked| matches!(checked.outcome, Outcome::Broken { .. }));
        broken.map(|checked| checked.rule.as_str())
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "passed          {}", self.rule),
            Outcome::DoesNotApply { why } => write!(f, "does not apply  {}: {why}", self.rule),
            Outcome::Broken { finding } => {
                writeln!(f, "BROKEN          {}: {}", self.rule, self.about)?;
                for step in &finding.did {
                    writeln!(f, "    did       {step}")?;
                }
                writeln!(f, "    expected  {}", finding.expected)?;
                write!(f, "    saw       {}", finding.saw)
            }
        }
    }
}

impl fmt::Display for Report {
    /// A line for each rule, more for those that are broken, and the sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.engine, self.version)?;
        for checked in &self.rules {
            writeln!(f, "{checked}")?;
        }
        f.write_str(&self.sum())
    }
}

impl Report {
    /// The broken rule to look at first: the checks look at rows by scans and by gets, so that a broken one of these breaks more.
    pub fn cause(&self) -> Option<&str> {
        const FIRST: [&str; 6] = [
            "scan-order",
            "scan-limit",
            "scan-start",
            "scan-appends",
            "get-absent",
            "put-replaces",
        ];
        let broken: Vec<&str> = self.broken().collect();
        let first = FIRST.into_iter().find(|rule| broken.contains(rule));
        first.or_else(|| broken.first().copied())
    }

    /// How many rules are kept, broken, and do not apply, in a sentence, and which broken one to look at first.
    pub fn sum(&self) -> String {
        let broken = self.broken().count();
        let passed = self
            .rules
            .iter()
            .filter(|checked| checked.outcome == Outcome::Passed)
            .count();
        let other = self.rules.len() - broken - passed;
        let mut sum = format!(
            "{}: {passed} rules passed, {broken} broken, {other} do not apply",
            self.engine
        );
        if let Some(rule) = self.cause().filter(|_| broken > 1) {
            sum.push_str(&format!("; begin with {rule}, on which other checks rest"));
        }
        sum
    }
}
