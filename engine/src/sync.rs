//! The one door through which the engine gets what threads share and wait with: mutexes, condition variables, atomics,
//! threads, clocks of waits, thread-locals, hashes.
//!
//! Everywhere but in one build these are those of `parking_lot` and the standard library, and cost nothing on top. Under
//! `cfg(shuttle)`, which only the package `engine-scheduled` sets, they are [`controlled`]: every use of them is a point
//! at which a scheduler decides which thread goes on, so that a schedule is a number, and can be had again.
//!
//! `engine-models` has a third door, to the crate `loom`, for the few files whose protocols it explores exhaustively.
//!
//! Words of page frames (`page/words.rs`, `pool/frame.rs`) come through the door as [`word`], in which a scheduler has no
//! points: a page is read and written by hundreds of them. There are points where versions are noted, latches taken and
//! let go, and pages begun to be changed.
//!
//! Not behind the door, on purpose, since points there would make schedules longer and not different:
//! - files of the operating system (`vfs/os.rs`): schedules run on the simulated disk;
//! - the simulated disks' own locks: they are held for single file operations, each of which begins with a [`point`];
//! - the memory that those words and the ones of versions lie in (`arena.rs`);
//! - figures that nothing depends on (`metrics.rs`, `reach.rs`, `store/stats.rs`);
//! - what tests switch on (`injected.rs`, `interleave.rs`), and buffers of codecs, which hold nothing across a point;
//! - `Arc`, and `OnceLock`, which is only ever set to what does not depend on who was first, or before it is shared.

#[cfg(shuttle)]
pub mod controlled;

#[cfg(shuttle)]
pub(crate) use controlled::{
    Condvar, Instant, Mutex, MutexGuard, RandomState, RwLock, atomic, hint, point, thread, thread_local,
};
#[cfg(not(shuttle))]
pub(crate) use direct::{
    Condvar, Instant, Mutex, MutexGuard, RandomState, RwLock, atomic, hint, point, thread, thread_local,
};

/// Words of page frames: the standard library's, without points.
pub(crate) mod word {
    pub(crate) use std::sync::atomic::{AtomicU64, fence};
}

/// What everybody gets who is not tested under a schedule.
#[cfg(not(shuttle))]
mod direct {
    pub(crate) use foldhash::fast::RandomState;
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use std::hint;
    pub(crate) use std::thread_local;
    pub(crate) use std::time::Instant;

    pub(crate) mod thread {
        use std::sync::atomic::AtomicUsize;
        use std::sync::atomic::Ordering::Relaxed;
        pub(crate) use std::thread::*;

        /// A number for a thread that has none yet.
        pub(crate) fn number() -> usize {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            NEXT.fetch_add(1, Relaxed)
        }
    }

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::*;

        /// Atomics that are all zero. Memory that nobody touches is not asked for.
        pub(crate) fn zeroed_slice(len: usize) -> Box<[AtomicU32]> {
            bytemuck::zeroed_slice_box(len)
        }
    }

    /// A point at which a scheduler may let another thread go on.
    #[inline(always)]
    pub(crate) fn point() {}
}

// The scheduled build has the same source.
#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::path::Path;

    /// Files that go around the door, and why: see above.
    const EXCEPTIONS: &[&str] = &[
        "sync.rs",
        "sync/",
        "vfs/os.rs",
        "vfs/memory.rs",
        "vfs/simulated/",
        "arena.rs",
        "metrics.rs",
        "reach.rs",
        "store/stats.rs",
        "injected.rs",
        "interleave.rs",
        "compress/",
    ];

    /// What has to come from the door.
    const OUTSIDE: &[&str] = &[
        "parking_lot",
        "std::sync::atomic",
        "std::sync::Mutex",
        "std::sync::RwLock",
        "std::sync::Condvar",
        "std::thread::",
        "std::hint::spin_loop",
        "std::time::Instant",
        "foldhash::fast::RandomState",
        "crossbeam_utils::sync",
    ];

    /// What asks and waits for nothing.
    const HARMLESS: &[&str] = &["std::thread::panicking", "std::thread::available_parallelism"];

    fn look_at(root: &Path, dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).expect("a directory of the source") {
            let path = entry.expect("an entry").path();
            let name = path
                .strip_prefix(root)
                .expect("a file below the root")
                .to_string_lossy()
                .replace('\\', "/");
            let is_of_tests = name.ends_with("tests.rs") || name.contains("tests/");
            if is_of_tests || EXCEPTIONS.iter().any(|exception| name.starts_with(exception)) {
                continue;
            }
            if path.is_dir() {
                look_at(root, &path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a file of text");
            // Tests at the end of a file have threads of their own.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let mut imports = code.lines().filter(|line| line.starts_with("use crate::sync::"));
            let has_ours = imports.any(|line| line.contains("thread_local"));
            let lines = code.lines().enumerate().filter(|(_, line)| {
                let is_comment = line.trim_start().starts_with("//");
                let mut line = (*line).to_owned();
                for harmless in HARMLESS {
                    line = line.replace(harmless, "");
                }
                let has_thread_locals = line.trim_start().starts_with("thread_local!");
                let has_clock = line.starts_with("use std::time::") && line.contains("Instant");
                !is_comment
                    && (has_thread_locals && !has_ours
                        || has_clock
                        || OUTSIDE.iter().any(|outside| line.contains(outside)))
            });
            found.extend(lines.map(|(at, line)| format!("{name}:{}: {}", at + 1, line.trim())));
        }
    }

    #[test]
    fn nobody_goes_around_the_door() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        look_at(&root, &root, &mut found);
        assert!(
            found.is_empty(),
            "to be taken from crate::sync:\n{}",
            found.join("\n")
        );
    }
}
