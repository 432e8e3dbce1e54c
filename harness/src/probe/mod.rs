//! Measuring: latency, time, resources, the machine and its noise.

pub(crate) mod allocations;
pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod flush_probe;
pub(crate) mod hiccup;
pub(crate) mod latency;
pub(crate) mod resources;

pub use allocations::CountingAllocator;
