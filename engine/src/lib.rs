//! Palimpsest's storage engine.

pub mod compress;
pub mod error;
pub mod ids;
mod page;
pub mod vfs;

pub use error::{Error, Result};
