//! Settings that only one engine has: what there is to choose, and what an open database really runs with.

use super::{Capabilities, OpenOptions, TargetError};
use crate::names::did_you_mean;

/// A setting of one engine, chosen by [`OpenOptions::engine_settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineSetting {
    /// Its name, words joined by hyphens.
    pub name: &'static str,
    /// What it takes, for instance `SIZE` or `on, off`.
    pub values: &'static str,
    /// What it does, and its default.
    pub about: &'static str,
    /// It is chosen when a database is made, and stays.
    pub is_fixed: bool,
}

/// Settings with defaults and the engine's own limits applied. `None` is what an engine does not have, or does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveSettings {
    /// Memory that cached pages may take at most, in bytes; where each session has a cache of its own, of one of them.
    pub cache_size_bytes: Option<u64>,
    /// Page size in bytes.
    pub page_size_bytes: Option<u64>,
    /// Compression of stored data, `none` when there is none.
    pub compression: Option<String>,
    /// How a commit is made durable, in the engine's own words: `fdatasync`, `direct`, `synchronous=FULL`.
    pub sync_method: Option<String>,
    /// Every setting of the engine with its value, defaults included, by the names of [`EngineSetting`].
    pub all: Vec<(String, String)>,
}

/// Refuses what an engine does not have: a codec that it does not declare, a setting that is not among `settings`.
///
/// # Errors
/// [`ErrorKind::Unsupported`](super::ErrorKind::Unsupported), with what there is.
pub fn refuse_undeclared(
    capabilities: &Capabilities,
    settings: &[EngineSetting],
    options: &OpenOptions,
) -> Result<(), TargetError> {
    let engine = &capabilities.name;
    if let Some(asked) = &options.compression {
        let codec = asked.split(':').next().unwrap_or_default();
        let known = |name: &String| name.eq_ignore_ascii_case(codec);
        // Not to compress is what an engine without compression does.
        if !capabilities.compressions.iter().any(known) && !codec.eq_ignore_ascii_case("NONE") {
            let there = match capabilities.compressions.len() {
                0 => "it does not compress".to_owned(),
                _ => {
                    let names: Vec<&str> = capabilities.compressions.iter().map(String::as_str).collect();
                    format!("it has {}", names.join(", "))
                }
            };
            return Err(TargetError::unsupported(format!(
                "{engine} has no compression {asked} ({there})"
            )));
        }
    }
    let names: Vec<&str> = settings.iter().map(|setting| setting.name).collect();
    for (name, _) in &options.engine_settings {
        if !names.contains(&name.as_str()) {
            let there = match names.len() {
                0 => "it has none of its own".to_owned(),
                _ => did_you_mean(name, &names),
            };
            return Err(TargetError::unsupported(format!(
                "{engine} has no setting `{name}`: {there}"
            )));
        }
    }
    Ok(())
}
