//! The engine through its public interface.

mod model;

#[test]
fn random_operations_agree_with_a_map() {
    model::run(model::Plan::default());
}
