//! What to run against a storage engine, and how to know that it did it right.
//!
//! - [`spec`]: a workload is a TOML file, checked before anything runs;
//! - [`keys`], [`values`], [`stream`]: rows, values and transactions from a seed;
//! - [`driver`]: the traits that an engine under test implements; this crate knows no engine;
//! - [`load`], [`executor`]: filling the tables, and one thread's work on them;
//! - [`oracle`]: whether the engine kept its promises in a run;
//! - [`conformance`]: whether it keeps the rules of [`driver`], each by itself.
//!
//! # Example
//!
//! A workload of one's own, and what its first transaction does:
//!
//! ```
//! use std::sync::Arc;
//! use workloads::keys::Frontier;
//! use workloads::spec::Spec;
//! use workloads::stream::{OperationStream, Plan, StreamOptions};
//!
//! let spec = Spec::parse("carts", "carts.toml", r#"
//!     title = "Shopping carts"
//!     threads = 2
//!     durability = "sync"
//!
//!     [[table]]
//!     name = "carts"
//!     rows = 10_000
//!     value = { size = { min = 50, max = 500 }, compressibility = 0.6 }
//!     keys = { distribution = "zipfian", theta = 0.9 }
//!
//!     [[transaction]]
//!     name = "look"
//!     weight = 9
//!     operations = [{ op = "point-read" }]
//!
//!     [[transaction]]
//!     name = "add"
//!     weight = 1
//!     operations = [{ op = "read-modify-write" }]
//! "#)?;
//! println!("{}", spec.explain());
//!
//! let plan = Arc::new(Plan::new(spec));
//! let frontier = Arc::new(Frontier::new(plan.tables().len(), plan.spec().threads));
//! let mut stream = OperationStream::new(plan, frontier, StreamOptions::fresh(0));
//! let transaction = stream.next();
//! assert_eq!(transaction.operations().len(), 1);
//! assert!(transaction.operations()[0].row < 10_000);
//! # Ok::<(), workloads::spec::SpecError>(())
//! ```

pub mod conformance;
pub mod driver;
pub mod executor;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod keys;
pub mod load;
pub mod names;
pub mod oracle;
pub mod random;
pub mod spec;
pub mod stream;
pub mod values;
pub mod version;
