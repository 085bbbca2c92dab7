//! Starts processes that cannot outlive the one that started them, and a folder that cannot either,
//! even if that one is killed with SIGKILL.
//!
//! Each process runs under a small shell that holds the read end of a pipe. Nothing is ever written
//! to it; when its only write end closes, because the owner was dropped or its process died in
//! whatever way, the shell kills the process. A second pipe orders the end: all those shells hold
//! its write end, so the shell that removes the folder starts when the last process is gone.

use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, ensure};

/// `$1` is the log, the rest the command. `read` returns at the end of the pipe. Descriptor 3 is
/// there because a job in the background gets /dev/null as its stdin. SIGTERM is handed on; it interrupts `wait`, which is
/// then called again. (Whether the process is still there cannot be asked instead: it may have ended, with a status that only
/// `wait` tells.)
const SUPERVISOR: &str = r#"
log=$1
shift
exec 3<&0
"$@" 3<&- </dev/null >>"$log" 2>&1 &
component=$!
trap 'kill -TERM "$component" && again=yes' TERM
{ read -r _; kill -9 "$component"; } <&3 &
watcher=$!
again=yes
while [ "$again" ]; do
  again=
  wait "$component"
  status=$?
done
kill -9 "$watcher"
exit "$status"
"#;

const JANITOR: &str = r#"read -r _; exec rm -rf "$1""#;

/// A temporary folder that goes when it is dropped or this process dies, but after every
/// [`Process`] that was started in it. Drop those first: this waits for them.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lifeline: Option<PipeWriter>,
    janitor: Child,
}

impl Folder {
    pub(crate) fn create() -> anyhow::Result<Folder> {
        let temporary = tempfile::Builder::new().prefix("dev-cluster-").tempdir()?;
        let (end, lifeline) = io::pipe()?;
        let janitor = shell(JANITOR)
            .arg(temporary.path())
            .stdin(end)
            .stdout(Stdio::null())
            .spawn()
            .context("starting `sh`")?;
        Ok(Folder { path: temporary.keep(), lifeline: Some(lifeline), janitor })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn share_lifeline(&self) -> anyhow::Result<PipeWriter> {
        let lifeline = self.lifeline.as_ref();
        let lifeline = lifeline.context("the folder is already being removed")?;
        Ok(lifeline.try_clone()?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.lifeline = None;
        let _ = self.janitor.wait();
    }
}

/// A running program. Dropping it kills it (SIGKILL) and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    lifeline: Option<PipeWriter>,
    supervisor: Child,
}

impl Process {
    /// Starts the program that `command` names, with its arguments and environment; what it prints is added to the file
    /// `log`.
    pub(crate) fn start(command: &Command, log: &Path, folder: &Folder) -> anyhow::Result<Process> {
        let (end, lifeline) = io::pipe()?;
        let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let supervisor = shell(SUPERVISOR)
            .arg(log)
            .arg(command.get_program())
            .args(command.get_args())
            .envs(environment)
            .stdin(end)
            .stdout(folder.share_lifeline()?)
            .spawn()
            .context("starting `sh`")?;
        Ok(Process { lifeline: Some(lifeline), supervisor })
    }

    /// The process id of the program, to look at in /proc; Linux only.
    ///
    /// # Errors
    /// It has ended, or there is no /proc.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let supervisor = self.supervisor.id();
        let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"))?;
        // The supervisor starts the program before anything else.
        let first = children.split_whitespace().next().context("the program has ended")?;
        Ok(first.parse()?)
    }

    /// Asks it to stop (SIGTERM). [`ended`](Self::ended) tells when it has.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.supervisor.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().context("starting `kill`")?;
        ensure!(status.success(), "cannot send SIGTERM ({status})");
        Ok(())
    }

    /// How it ended, or nothing if it is running.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.supervisor.try_wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.lifeline = None;
        let _ = self.supervisor.wait();
    }
}

/// In a process group of its own: a Ctrl-C in the terminal is for the owner alone, which may still
/// have things to do in the cluster before it goes.
fn shell(script: &str) -> Command {
    let mut sh = Command::new("sh");
    sh.args(["-c", script, "dev-cluster"]).process_group(0).stderr(Stdio::null());
    sh
}
