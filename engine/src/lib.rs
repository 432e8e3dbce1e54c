//! Palimpsest's storage engine.

pub mod error;
pub mod ids;
pub mod vfs;

pub use error::{Error, Result};
