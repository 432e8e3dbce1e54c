//! The process that keeps the mount, and its parent's handle on it.
//!
//! The file system lives in a process of its own, so that whatever hangs in it can be killed: when that process dies, the kernel
//! fails all requests and the place can be unmounted. It takes its orders from its standard input, one line each, tells what
//! happened on its standard output, and unmounts and ends when its input is closed.

use std::fs::File;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::fuse::Mounted;
use super::power::Power;
use crate::child::process::{ChildProcess, Closed};
use crate::child::progress::send;
use crate::error::{HarnessError, Result};

/// The device of every FUSE file system.
const DEVICE: &str = "/dev/fuse";
/// A mounting process that does not answer for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a busy mount is tried to be left, a millisecond apart.
const UNMOUNT_TRIES: u32 = 2000;

/// What a mounting process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MountJob {
    /// The files to begin with, which are durable.
    #[serde(with = "crate::child::paths")]
    pub files: PathBuf,
    /// Where to mount.
    #[serde(with = "crate::child::paths")]
    pub place: PathBuf,
}

/// An order to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Order {
    /// Cut the power before the change that follows the next so many.
    CutAfter(u64),
    /// Acknowledge every sync from now on, and ignore it.
    DropSyncs,
    /// Cut it now, if it is still on.
    Cut,
    /// Fail what waits for the power.
    TurnOff,
    /// Write the files that may have survived to a directory; the seed chooses.
    Export {
        seed: u64,
        #[serde(with = "crate::child::paths")]
        target: PathBuf,
    },
}

/// What it tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Event {
    /// The file system is there.
    Mounted,
    /// It cannot be mounted, and why.
    Refused(String),
    /// The power is cut; so many changes are not durable.
    Cut(u64),
    /// The files are written, chosen in this way.
    Exported(String),
    /// Something of its own failed.
    Failed(String),
}

/// Why no FUSE file system can be mounted with `device`; `None` if it can be opened.
pub(super) fn unavailable(device: &Path) -> Option<String> {
    let error = File::options().read(true).write(true).open(device).err()?;
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "the kernel has no FUSE, or its module is not loaded (modprobe fuse); a container needs --device /dev/fuse"
        }
        std::io::ErrorKind::PermissionDenied => "only some users may use it here; try as root",
        _ => "it cannot be used",
    };
    Some(format!(
        "the workload powerloss needs {}: {error}: {why}",
        device.display()
    ))
}

/// Mounts, and follows orders until there are no more.
///
/// # Errors
/// When the orders cannot be understood or the file system cannot be left.
pub(crate) fn serve(job: &MountJob) -> Result<()> {
    if let Some(why) = unavailable(Path::new(DEVICE)) {
        send(&Event::Refused(why));
        return Ok(());
    }
    let disk = Disk::import(&job.files).map_err(|error| HarnessError::io("read", &job.files, &error))?;
    let power = Arc::new(Power::new(disk));
    let tell = |disk: &Disk| send(&Event::Cut(disk.pending() as u64));
    let session = match Mounted::mount(Arc::clone(&power), &job.place, tell) {
        Ok(session) => session,
        Err(error) => {
            send(&Event::Refused(format!(
                "the workload powerloss cannot mount a FUSE file system at {}: {error}; it needs the right to mount \
                 (root, CAP_SYS_ADMIN) or the program fusermount3",
                job.place.display()
            )));
            return Ok(());
        }
    };
    send(&Event::Mounted);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| HarnessError::Run(format!("cannot read an order: {error}")))?;
        let order: Order = serde_json::from_str(&line)
            .map_err(|error| HarnessError::Run(format!("malformed order: {error}")))?;
        match order {
            Order::CutAfter(changes) => power.cut_after(changes),
            Order::Cut => {
                if power.cut() {
                    power.disk(tell);
                }
            }
            Order::DropSyncs => power.lie(),
            Order::TurnOff => power.turn_off(),
            Order::Export { seed, target } => send(&match power.disk(|disk| disk.export(seed, &target)) {
                Ok(survival) => Event::Exported(format!("{survival:?}")),
                Err(error) => Event::Failed(format!("cannot write {}: {error}", target.display())),
            }),
        }
    }
    power.turn_off();
    // The process that worked in it may need a moment to die.
    let mut tries = 0;
    while let Err(error) = rustix::mount::unmount(&job.place, rustix::mount::UnmountFlags::empty()) {
        tries += 1;
        if error != rustix::io::Errno::BUSY || tries == UNMOUNT_TRIES {
            // Who is not allowed to do it needs the help of fusermount3.
            return session
                .umount_and_join()
                .map_err(|error| HarnessError::io("unmount", &job.place, &error));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    session
        .join()
        .map_err(|error| HarnessError::io("leave", &job.place, &error))
}

/// A mounted file system, from outside.
#[derive(Debug)]
pub(super) struct Mount {
    process: Option<ChildProcess<Event>>,
    place: PathBuf,
    /// Changes that were not durable when the power was cut.
    unsynced: Option<u64>,
}

impl Mount {
    /// Starts a mounting process.
    ///
    /// # Errors
    /// Usage: it is not possible on this machine. Run: a process that cannot be started or does not answer.
    pub(super) fn start(job: MountJob, job_file: &Path) -> Result<Self> {
        let place = job.place.clone();
        std::fs::create_dir_all(&place).map_err(|error| HarnessError::io("make", &place, &error))?;
        let process = ChildProcess::start(job_file, super::SCENARIO.name, &job)?;
        let mut mount = Self {
            process: Some(process),
            place,
            unsynced: None,
        };
        match mount.wait("mount")? {
            Event::Mounted => Ok(mount),
            Event::Refused(why) => Err(HarnessError::Usage(why)),
            event => Err(unexpected(&event)),
        }
    }

    fn process(&mut self) -> Result<&mut ChildProcess<Event>> {
        self.process
            .as_mut()
            .ok_or_else(|| HarnessError::Run("the mounting process has ended".into()))
    }

    /// The next event, which must come.
    fn wait(&mut self, doing: &str) -> Result<Event> {
        match self.process()?.next_event(PATIENCE) {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(HarnessError::Run(format!(
                "the mounting process does not answer ({doing})"
            ))),
            Err(Closed) => {
                let failure = match self.process.take() {
                    Some(process) => process.wait()?.failure(),
                    None => None,
                };
                Err(HarnessError::Run(format!(
                    "the mounting process ended ({doing}): {}",
                    failure.as_deref().unwrap_or("without a word")
                )))
            }
        }
    }

    /// Plans to cut the power before the change that follows the next `changes` ones.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn cut_after(&mut self, changes: u64) -> Result<()> {
        self.process()?.tell(&Order::CutAfter(changes))
    }

    /// Has every sync from now on acknowledged and ignored.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn drop_syncs(&mut self) -> Result<()> {
        self.process()?.tell(&Order::DropSyncs)
    }

    /// Whether the power is cut by now.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn is_cut(&mut self) -> Result<bool> {
        if self.unsynced.is_none()
            && let Ok(Some(event)) = self.process()?.next_event(Duration::ZERO)
        {
            self.take_cut(event)?;
        }
        Ok(self.unsynced.is_some())
    }

    /// Cuts the power now, if it is on; when this returns it is cut.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn cut(&mut self) -> Result<()> {
        if self.unsynced.is_none() {
            self.process()?.tell(&Order::Cut)?;
            let event = self.wait("cut the power")?;
            self.take_cut(event)?;
        }
        Ok(())
    }

    fn take_cut(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Cut(pending) => self.unsynced = Some(pending),
            event => return Err(unexpected(&event)),
        }
        Ok(())
    }

    /// Lets processes that wait for the power end.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn turn_off(&mut self) -> Result<()> {
        self.process()?.tell(&Order::TurnOff)
    }

    /// How many changes were not durable when the power was cut.
    pub(super) fn unsynced(&self) -> u64 {
        self.unsynced.unwrap_or(0)
    }

    /// Writes files that may have survived to `target`, and tells how they were chosen.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn export(&mut self, seed: u64, target: &Path) -> Result<String> {
        self.process()?.tell(&Order::Export {
            seed,
            target: target.to_path_buf(),
        })?;
        match self.wait("write the surviving files")? {
            Event::Exported(survival) => Ok(survival),
            Event::Failed(what) => Err(HarnessError::Run(what)),
            event => Err(unexpected(&event)),
        }
    }

    /// Unmounts.
    ///
    /// # Errors
    /// When the process ends badly; the place is unmounted all the same.
    pub(super) fn end(mut self) -> Result<()> {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        let failure = process.close_and_wait()?.failure();
        match failure {
            None => Ok(()),
            Some(failure) => {
                detach(&self.place);
                Err(HarnessError::Run(format!("while unmounting: {failure}")))
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Only after an error; then nothing of it is worth waiting for.
        if let Some(mut process) = self.process.take() {
            process.kill();
            let _ = process.wait();
            detach(&self.place);
        }
    }
}

/// Unmounts what a dead process has left.
fn detach(place: &Path) {
    let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH);
}

fn unexpected(event: &Event) -> HarnessError {
    HarnessError::Run(format!("the mounting process said {event:?} out of turn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_fuse_gets_a_clear_message() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("fuse");
        let message = unavailable(&absent).unwrap();
        assert!(
            message.contains("needs") && message.contains("modprobe fuse"),
            "{message}"
        );
        std::fs::write(&absent, b"").unwrap();
        assert_eq!(unavailable(&absent), None);
    }
}
