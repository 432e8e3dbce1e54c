//! Which way to flush is faster here? Disks and file systems differ by a factor of three either way, so the log asks:
//! a few flushes of one block, the two ways in turns (so that a busy moment hits both), and the medians decide.
//! The blocks are zeros, written between the headers of a segment that is not in use yet.

use std::io;
use std::time::Duration;

use super::block::BLOCK_BYTES;
use super::options::WalSync;
use super::segment::{HEADER_BYTES, zero_block};
use crate::vfs::{Vfs, VfsFile};

/// Rounds of one flush each way; fewer when the disk is slow.
const ROUNDS_MAX: usize = 9;
const ROUNDS_MIN: usize = 3;
/// Past this time no further round starts.
const TIME_MAX: Duration = Duration::from_millis(40);

/// The faster way. A failing direct write means `Fdatasync`; a failing ordinary write or sync is an error.
pub(super) fn faster_sync(
    vfs: &dyn Vfs,
    cached: &dyn VfsFile,
    direct: &dyn VfsFile,
    segment_size: u64,
) -> io::Result<WalSync> {
    let block = zero_block();
    let mut cached_times = Vec::with_capacity(ROUNDS_MAX);
    let mut direct_times = Vec::with_capacity(ROUNDS_MAX);
    let started = vfs.monotonic();
    let mut offset = HEADER_BYTES as u64;
    let mut next_offset = || {
        let here = offset;
        offset += BLOCK_BYTES as u64;
        if offset + (BLOCK_BYTES + HEADER_BYTES) as u64 > segment_size {
            offset = HEADER_BYTES as u64;
        }
        here
    };
    for round in 0..ROUNDS_MAX {
        if round >= ROUNDS_MIN && vfs.monotonic().saturating_sub(started) > TIME_MAX {
            break;
        }
        let before = vfs.monotonic();
        cached.write_at(&block.0, next_offset())?;
        cached.sync_data()?;
        let between = vfs.monotonic();
        if direct.write_at(&block.0, next_offset()).is_err() {
            return Ok(WalSync::Fdatasync);
        }
        cached_times.push(between.saturating_sub(before));
        direct_times.push(vfs.monotonic().saturating_sub(between));
    }
    Ok(if median(direct_times) < median(cached_times) {
        WalSync::Direct
    } else {
        WalSync::Fdatasync
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::SystemTime;

    use crate::vfs::OpenMode;

    /// A clock that only the files below advance.
    #[derive(Debug, Default)]
    struct Clock(AtomicU64);

    #[derive(Debug)]
    struct SlowFile {
        clock: Arc<Clock>,
        ns: u64,
        fails: bool,
        offsets: Mutex<Vec<u64>>,
    }

    impl VfsFile for SlowFile {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
            assert!(buf.iter().all(|&byte| byte == 0), "only zeros");
            self.offsets.lock().unwrap().push(offset);
            self.clock.0.fetch_add(self.ns, Ordering::SeqCst);
            if self.fails {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn sync_all(&self) -> io::Result<()> {
            Ok(())
        }
        fn try_lock(&self) -> io::Result<bool> {
            Ok(true)
        }
    }

    impl Vfs for Clock {
        fn open(&self, _: &std::path::Path, _: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn remove(&self, _: &std::path::Path) -> io::Result<()> {
            Ok(())
        }
        fn rename(&self, _: &std::path::Path, _: &std::path::Path) -> io::Result<()> {
            Ok(())
        }
        fn exists(&self, _: &std::path::Path) -> io::Result<bool> {
            Ok(false)
        }
        fn list(&self, _: &std::path::Path) -> io::Result<Vec<std::path::PathBuf>> {
            Ok(Vec::new())
        }
        fn create_dir(&self, _: &std::path::Path) -> io::Result<()> {
            Ok(())
        }
        fn sync_dir(&self, _: &std::path::Path) -> io::Result<()> {
            Ok(())
        }
        fn wall_clock(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            Duration::from_nanos(self.0.load(Ordering::SeqCst))
        }
        fn random(&self) -> u64 {
            0
        }
    }

    fn probe(cached_ns: u64, direct_ns: u64, cached_fails: bool, direct_fails: bool) -> io::Result<WalSync> {
        let clock = Arc::new(Clock::default());
        let file = |ns, fails| SlowFile {
            clock: Arc::clone(&clock),
            ns,
            fails,
            offsets: Mutex::default(),
        };
        let (cached, direct) = (file(cached_ns, cached_fails), file(direct_ns, direct_fails));
        let result = faster_sync(&*clock, &cached, &direct, 5 * BLOCK_BYTES as u64);
        let mut offsets = cached.offsets.into_inner().unwrap();
        offsets.extend(direct.offsets.into_inner().unwrap());
        assert!(
            offsets.iter().all(|offset| [4096, 8192, 12288].contains(offset)),
            "{offsets:?}"
        );
        result
    }

    #[test]
    fn the_faster_way_wins() {
        assert_eq!(probe(100, 50, false, false).unwrap(), WalSync::Direct);
        assert_eq!(probe(50, 100, false, false).unwrap(), WalSync::Fdatasync);
    }

    #[test]
    fn direct_writes_that_fail_are_not_chosen_and_failing_files_are_reported() {
        assert_eq!(probe(100, 50, false, true).unwrap(), WalSync::Fdatasync);
        assert!(probe(100, 50, true, false).is_err());
    }

    #[test]
    fn a_slow_disk_is_asked_less_often() {
        let second = 1_000_000_000;
        assert_eq!(probe(2 * second, second, false, false).unwrap(), WalSync::Direct);
    }
}
