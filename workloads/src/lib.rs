//! What to run against a storage engine.
