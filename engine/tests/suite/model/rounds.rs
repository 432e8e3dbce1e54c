//! Rounds: the database is opened, worked with, and closed, dropped or left as after a crash.

use std::sync::Arc;

use engine::Table;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::gate::Gate;
use super::oracle::State;
use super::plan::{PATH, Plan, Reached};
use super::upkeep::state_of;
use super::world::World;
use crate::common::assert_sound;

/// Pages of a database without tables: the catalog.
const EMPTY_PAGES: u64 = 1;

/// Runs a plan and tells what it got to.
pub(crate) fn run(plan: Plan) -> Reached {
    let mut gate = Gate::default();
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut reached = Reached::default();
    let mut foreign: Option<Table> = None;
    // What the database may hold when it is opened next.
    let mut allowed = vec![Arc::new(State::default())];
    for round in 0..plan.rounds {
        let what = format!("{plan:?}, round {round}");
        let db = plan.options(&gate).open(PATH).unwrap();
        reached.commits_redone += db.recovery().commits;
        let state = state_of(&db, &allowed, &what);
        assert_sound(&db);
        let (rng_then, oracle, reached_then, foreign_then) = std::thread::scope(|scope| {
            let mut world = World::new(scope, &db, gate.clone(), plan, rng.clone(), state);
            world.foreign = foreign;
            while world.handles.len() < 2 {
                world.create_table();
                world.load();
            }
            while world.steps < plan.steps {
                world.step();
            }
            world.finish()
        });
        (rng, foreign) = (rng_then, foreign_then);
        reached.add(reached_then);
        allowed = vec![Arc::clone(&oracle.visible)];
        match rng.random_range(0..3) {
            0 => db.close().unwrap(),
            1 => drop(db),
            _ => {
                gate = Gate::over(gate.files.fork());
                allowed = oracle.after_crash();
                drop(db);
            }
        }
    }
    let db = plan.options(&gate).open(PATH).unwrap();
    state_of(&db, &allowed, &format!("{plan:?}, at the end"));
    // Everything comes back.
    for name in db.table_names() {
        db.drop_table(&name).unwrap();
    }
    db.gc(1);
    db.checkpoint().unwrap();
    assert_eq!(
        db.storage_info().used_pages,
        EMPTY_PAGES,
        "{plan:?}: pages that nothing needs"
    );
    assert_sound(&db);
    reached
}
