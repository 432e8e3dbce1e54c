//! Every model, explored.

use engine_models::check::Explored;

/// The explorations of a model.
trait All {
    fn all(self) -> Vec<Explored>;
}

impl All for Explored {
    fn all(self) -> Vec<Explored> {
        vec![self]
    }
}

impl All for [Explored; 2] {
    fn all(self) -> Vec<Explored> {
        self.to_vec()
    }
}

macro_rules! models {
    ($($area:ident: $($model:ident)*;)*) => {
        $(mod $area {
            use super::All;

            $(#[test]
            fn $model() {
                for explored in engine_models::$area::models::$model().all() {
                    println!("{}: {explored}", stringify!($model));
                    assert!(explored.executions > 1);
                }
            })*
        })*
    };
}

models! {
    pool: a_change_and_a_reader two_changes_and_a_reader a_change_and_two_reads a_change_and_two_readers a_latch_without_a_change two_writers two_writers_again three_writers
        a_frame_is_written_by_one moved_out_or_written;
    mvcc: a_snapshot_begins a_snapshot_begins_in_a_new_slot a_snapshot_begins_beside_a_commit
        a_snapshot_begins_in_a_new_slot_beside_a_commit two_snapshots_begin_in_one_slot a_snapshot_is_refreshed
        a_parked_snapshot_is_refreshed a_snapshot_is_refreshed_beside_a_commit
 a_parked_snapshot_is_refreshed_beside_a_commit what_a_snapshot_reads_is_kept a_slot_changes_hands an_older_snapshot_begins;
    txn: a_commit_and_a_flush a_commit_and_a_flush_of_which_one_fails two_unsynchronised_commits two_commits a_commit_and_an_unsynchronised_one a_flush_fails_for_two a_flush_fails_for_two_unlike
        two_commits_through_the_queue three_commits three_commits_unlike a_flush_fails_for_three
        three_commits_and_a_flush;
}
