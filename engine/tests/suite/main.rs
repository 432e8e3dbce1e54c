//! The engine through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beside;
mod model;

#[test]
fn random_operations_agree_with_a_map() {
    model::run(model::Plan::default());
}
