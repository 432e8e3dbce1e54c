//! The harness from outside: what a person or a script sees. Every test runs the real program with tiny sizes.

#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod support;

mod bad_input;
mod conform;
mod kept;
mod layout;
mod mixes;
mod options;
mod own_engine;
mod powerloss;
mod reporting;
mod scenarios;
mod stopping;
mod terminal;
mod unsupported;
