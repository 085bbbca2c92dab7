//! One program of the control plane with its flags, which can be started and stopped through a
//! shared reference. It knows nothing of what the program does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::bail;

use crate::process::{Folder, Process};

const TAIL_LINES: usize = 20;

pub(crate) struct Component {
    name: &'static str,
    program: PathBuf,
    flags: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Component {
    pub(crate) fn new(name: &'static str, program: PathBuf, flags: Vec<String>, folder: &Path) -> Self {
        Component { name, program, flags, log: folder.join(format!("{name}.log")), process: Mutex::new(None) }
    }

    /// Does nothing if it is running.
    pub(crate) fn start(&self, folder: &Folder) -> anyhow::Result<()> {
        let mut process = self.lock();
        if let Some(process) = process.as_mut()
            && process.ended()?.is_none()
        {
            return Ok(());
        }
        *process = Some(Process::start(Command::new(&self.program).args(&self.flags), &self.log, folder)?);
        Ok(())
    }

    /// Kills it with SIGKILL. Does nothing if it is not running.
    pub(crate) fn kill(&self) {
        drop(self.lock().take());
    }

    /// Its name and the identifier of its process, if it is running.
    pub(crate) fn process(&self) -> Option<(&'static str, u32)> {
        let pid = self.lock().as_ref()?.pid().ok()?;
        Some((self.name, pid))
    }

    /// # Errors
    /// It was started and has ended by itself; with the end of its log.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let ended = match self.lock().as_mut() {
            Some(process) => process.ended()?,
            None => None,
        };
        match ended {
            None => Ok(()),
            Some(status) => bail!("{} ended early ({status}).{}", self.name, self.log_tail()),
        }
    }

    pub(crate) fn log_tail(&self) -> String {
        // Not read as a string: a line may have been cut off within a character.
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("\nThe end of the log of {}:\n{tail}", self.name)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
