//! Which rows are touched ([`Chooser`]) and what their keys look like ([`KeyCodec`]).

mod chooser;
mod codec;
mod zipfian;

pub use chooser::{Chooser, Distribution, Frontier};
pub use codec::{KeyCodec, KeyForm, KeyOrder};
pub use zipfian::Zipfian;
