//! The crate as its users meet it: specs from text, runs against a small engine, and every detector of the oracle
//! against an engine with exactly the error that it is for.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod crash;
mod injected;
mod malformed;
mod ranges;
mod reference;
mod run;
mod specs;
mod toy;
