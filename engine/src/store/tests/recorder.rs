//! A file that notes every write, length change and sync, so that the bytes a crash would leave can be made for each
//! moment.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Numbers;
use crate::vfs::VfsFile;

/// One step that changed the file or made changes durable.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// The file, over another one.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn VfsFile>,
    steps: Mutex<Vec<Step>>,
}

impl Recorder {
    pub(super) fn over(inner: Arc<dyn VfsFile>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            steps: Mutex::default(),
        })
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.lock().clone()
    }

    pub(super) fn len_now(&self) -> usize {
        self.steps.lock().len()
    }

    fn sync(&self) {
        self.steps.lock().push(Step::Sync);
    }
}

impl VfsFile for Recorder {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.steps.lock().push(Step::Write(offset, buf.to_vec()));
        self.inner.write_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.steps.lock().push(Step::SetLen(len));
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync();
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync();
        self.inner.sync_all()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }
}

/// The bytes after all of these steps.
pub(super) fn bytes_after(steps: &[Step]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in steps {
        apply(step, &mut bytes, &mut |_| true);
    }
    bytes
}

/// Bytes that a crash after these steps may leave: of what came since the last sync, any 512-byte sector may be
/// missing. With `syncs_count` false, of everything: what a store that forgets to sync would leave.
pub(super) fn bytes_after_crash(steps: &[Step], numbers: &mut Numbers, syncs_count: bool) -> Vec<u8> {
    let durable = match steps.iter().rposition(|step| matches!(step, Step::Sync)) {
        Some(sync) if syncs_count => sync,
        _ => 0,
    };
    let mut bytes = bytes_after(&steps[..durable]);
    for step in &steps[durable..] {
        match numbers.below(3) {
            0 => {}
            1 => apply(step, &mut bytes, &mut |_| true),
            _ => apply(step, &mut bytes, &mut |_| numbers.below(2) == 0),
        }
    }
    bytes
}

fn apply(step: &Step, bytes: &mut Vec<u8>, sector_survives: &mut dyn FnMut(usize) -> bool) {
    match step {
        Step::Write(offset, data) => {
            let offset = *offset as usize;
            if bytes.len() < offset + data.len() {
                bytes.resize(offset + data.len(), 0);
            }
            for (index, sector) in data.chunks(512).enumerate() {
                if sector_survives(index) {
                    let at = offset + index * 512;
                    bytes[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        Step::SetLen(len) => bytes.resize(*len as usize, 0),
        Step::Sync => {}
    }
}
