//! The page: atomic words, header, slotted leaf and inner nodes, deltas and stored images.

pub(crate) mod builder;
mod check;
pub(crate) mod delta;
pub(crate) mod edit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod image;
pub(crate) mod layout;
pub(crate) mod leaf_copy;
pub(crate) mod node;
pub(crate) mod words;

#[cfg(test)]
mod format_document;
#[cfg(test)]
mod tests;
