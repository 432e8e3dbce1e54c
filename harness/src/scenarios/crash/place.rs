//! Where the database of a crash test is, and how its process is lost.

use engine::Database;
use engine::vfs::SimulatedVfs;

/// Where the database is in the simulated file system.
pub(crate) const DATABASE: &str = "/db/data";
/// The directory that is there, durably, before it.
pub(crate) const DIRECTORY: &str = "/db";

/// Loses the process that has the database open: nothing is written on the way out.
pub(crate) fn abandon(vfs: &SimulatedVfs, database: Database) {
    vfs.set_power(false);
    drop(database);
    vfs.set_power(true);
}
