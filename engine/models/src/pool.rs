//! The page latch.

#[path = "../../src/pool/frame.rs"]
#[expect(
    dead_code,
    reason = "marks for the clock and the checkpoint are no part of the protocol"
)]
mod frame;
pub mod models;
