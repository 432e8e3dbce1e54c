//! A child process: started with a job file, watched line by line, told to stop over its standard input.
//!
//! A child that crashes, is killed or writes nonsense yields a described failure and never ends the parent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::interrupt::{Interrupt, requested};
use super::progress::{Display, Progress};
use crate::error::{HarnessError, Result};

const STDERR_KEPT: usize = 16 * 1024;
const POLL: Duration = Duration::from_millis(50);

/// The content of a job file: whose child it is, and what it has to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job<T = serde_json::Value> {
    /// The scenario, by name.
    pub scenario: String,
    /// What only that scenario understands.
    pub content: T,
}

/// A running child that writes lines of type `E`.
#[derive(Debug)]
pub(crate) struct ChildProcess<E = Progress> {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<E>,
    stdout: JoinHandle<()>,
    stderr: JoinHandle<String>,
}

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The end of what it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// Why it did not end well; `None` if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.status.success() {
            return None;
        }
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended abnormally".to_owned(),
        };
        let said = self.stderr.trim();
        Some(if said.is_empty() {
            format!("the measuring process {how}")
        } else {
            format!("the measuring process {how}: {said}")
        })
    }
}

impl<E: DeserializeOwned + Send + 'static> ChildProcess<E> {
    /// Writes a job file for `scenario`, and starts this program again with the hidden sub-command for children.
    ///
    /// # Errors
    /// When the file cannot be written, or the operating system cannot start the program.
    pub(crate) fn start(job_file: &Path, scenario: &str, content: &impl Serialize) -> Result<Self> {
        let scenario = scenario.to_owned();
        write_json(job_file, &Job { scenario, content })?;
        let program = std::env::current_exe()
            .map_err(|error| HarnessError::Run(format!("cannot find this program's own file: {error}")))?;
        let mut child = Command::new(&program)
            .arg("child")
            .arg(job_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| HarnessError::io("start", &program, &error))?;
        let (sender, lines) = channel();
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .expect("standard output was asked for as a pipe");
        let stdout = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                // A half line of a killed child is no event.
                if let Ok(event) = serde_json::from_str(&line)
                    && sender.send(event).is_err()
                {
                    break;
                }
            }
        });
        let stderr = child
            .stderr
            .take()
            .expect("standard error was asked for as a pipe");
        let stderr = std::thread::spawn(move || keep_end(stderr));
        Ok(Self {
            child,
            stdin,
            lines,
            stdout,
            stderr,
        })
    }

    /// The next event; `None` when there is none within `timeout`.
    ///
    /// # Errors
    /// [`Closed`] when the child has closed its output.
    pub(crate) fn next_event(&self, timeout: Duration) -> Result<Option<E>, Closed> {
        match self.lines.recv_timeout(timeout) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Closed),
        }
    }

    /// Asks it to stop cleanly.
    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(b"stop\n").and_then(|()| stdin.flush());
        }
    }

    /// Writes a line of JSON to its standard input. A child that is gone is noticed when its answer does not come.
    ///
    /// # Errors
    /// When the line cannot be encoded.
    pub(crate) fn tell(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line)
            .map_err(|error| HarnessError::Run(format!("cannot encode a request: {error}")))?;
        text.push(b'\n');
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(&text).and_then(|()| stdin.flush());
        }
        Ok(())
    }

    /// Closes its standard input, which ends a child that serves requests, and waits for its end.
    ///
    /// # Errors
    /// When the operating system cannot wait for it.
    pub(crate) fn close_and_wait(mut self) -> Result<Ended> {
        self.stdin = None;
        self.wait()
    }

    /// Kills it (SIGKILL: it cannot clean up).
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the operating system cannot wait for it.
    pub(crate) fn wait(mut self) -> Result<Ended> {
        let status = self
            .child
            .wait()
            .map_err(|error| HarnessError::Run(format!("cannot wait for a child process: {error}")))?;
        drop(self.lines);
        let _ = self.stdout.join();
        Ok(Ended {
            status,
            stderr: self.stderr.join().unwrap_or_default(),
        })
    }

    /// Watches it to its end, handing every event to `show`, and passing Ctrl-C on.
    ///
    /// # Errors
    /// When the operating system cannot wait for it.
    pub(crate) fn watch(mut self, mut show: impl FnMut(&E)) -> Result<Ended> {
        let mut passed_on = Interrupt::None;
        loop {
            match self.next_event(POLL) {
                Ok(Some(event)) => show(&event),
                Ok(None) => {}
                Err(Closed) => return self.wait(),
            }
            let wanted = requested();
            if wanted != passed_on {
                passed_on = wanted;
                match wanted {
                    Interrupt::None => {}
                    Interrupt::Clean => self.ask_to_stop(),
                    Interrupt::Now => self.kill(),
                }
            }
        }
    }
}

/// The child has closed its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

fn keep_end(mut stderr: impl std::io::Read) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count) = stderr.read(&mut chunk) {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(&chunk[..count]);
        if kept.len() > 2 * STDERR_KEPT {
            kept.drain(..kept.len() - STDERR_KEPT);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Starts a child, shows its progress to its end, and reads its result. The inner error says how the child failed.
///
/// # Errors
/// The harness's own trouble.
pub(crate) fn result_of_child<T: DeserializeOwned>(
    job_file: &Path,
    scenario: &str,
    content: &impl Serialize,
    result: &Path,
    display: &mut Display,
) -> Result<Result<T, String>> {
    let child: ChildProcess<Progress> = ChildProcess::start(job_file, scenario, content)?;
    let ended = child.watch(|progress| display.show(progress))?;
    Ok(match ended.failure() {
        Some(failure) => Err(failure),
        None => read_json(result).map_err(|error| format!("the measuring process left no result: {error}")),
    })
}

/// Writes a job or a result as JSON.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(content)
        .map_err(|error| HarnessError::Run(format!("cannot encode {}: {error}", path.display())))?;
    std::fs::write(path, text).map_err(|error| HarnessError::io("write", path, &error))
}

/// What a scenario has written into a job file.
///
/// # Errors
/// When it is not what it reads.
pub(crate) fn content<T: DeserializeOwned>(content: serde_json::Value) -> Result<T> {
    serde_json::from_value(content)
        .map_err(|error| HarnessError::Usage(format!("the job file is malformed: {error}")))
}

/// Reads a JSON file that the other process wrote.
///
/// # Errors
/// When it is missing or malformed.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(|error| HarnessError::io("read", path, &error))?;
    serde_json::from_slice(&text)
        .map_err(|error| HarnessError::Run(format!("{} is malformed: {error}", path.display())))
}

/// In a child: what is set when the parent says that it is to stop, or is gone. For those that get no requests from it.
pub(crate) fn follow_parent() -> &'static AtomicBool {
    static STOP: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        // Any word from the parent means stop, and so does its end.
        let _ = std::io::stdin().lock().read(&mut [0; 64]);
        STOP.store(true, Ordering::SeqCst);
    });
    &STOP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_error_text_is_kept() {
        let text = format!("{}the end", "x".repeat(5 * STDERR_KEPT));
        let kept = keep_end(text.as_bytes());
        assert!(kept.ends_with("the end") && kept.len() <= 2 * STDERR_KEPT + 4096);
    }

    #[test]
    fn a_failure_says_how_and_why() {
        let ended = Ended {
            status: ExitStatus::from_raw(9),
            stderr: "disk gone\n".into(),
        };
        let failure = ended.failure().unwrap();
        assert!(
            failure.contains("signal 9") && failure.contains("disk gone"),
            "{failure}"
        );
        assert_eq!(
            Ended {
                status: ExitStatus::from_raw(0),
                stderr: "chatter".into()
            }
            .failure(),
            None
        );
    }

    #[test]
    fn missing_and_malformed_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        write_json(&path, &[1, 2]).unwrap();
        assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), [1, 2]);
        let message = read_json::<String>(&path).unwrap_err().to_string();
        assert!(message.contains("a.json is malformed"), "{message}");
        assert!(read_json::<String>(&directory.path().join("b.json")).is_err());
    }
}
