//! Palimpsest's storage engine.

pub mod compress;
pub mod error;
pub mod ids;
mod page;
#[doc(hidden)]
pub mod store;
pub mod vfs;
pub mod wal;

pub use error::{Error, Result};
