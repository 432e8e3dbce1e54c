//! What an open database really runs with.

/// Settings with defaults and the engine's own limits applied. `None` is what an engine does not have, or does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveSettings {
    /// Memory that cached pages may take at most, in bytes; where each session has a cache of its own, of one of them.
    pub cache_size_bytes: Option<u64>,
    /// Page size in bytes.
    pub page_size_bytes: Option<u64>,
    /// Compression of stored data, `none` when there is none.
    pub compression: Option<String>,
}
