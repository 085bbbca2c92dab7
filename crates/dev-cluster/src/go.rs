//! Runs the `go` command for the modules that programs are built from. What is built and where it
//! is kept is decided in `assets` and `tools`.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, anyhow, bail};

use crate::progress::Progress;

const TAIL_LINES: usize = 40;

/// A Go module on disk, and the program that is built from it.
pub(crate) struct Module {
    /// What is built, for people.
    name: &'static str,
    dir: PathBuf,
    package: &'static str,
    linker_flags: String,
}

impl Module {
    /// The program is the module's own unless another [`package`](Self::package) is given.
    /// `linker_flags` do not reach the packages it is made of, so another set costs one link only.
    pub(crate) fn new(name: &'static str, dir: PathBuf, linker_flags: String) -> Self {
        Module { name, dir, package: ".", linker_flags }
    }

    /// The program is that of a package of a module which this one requires.
    pub(crate) fn package(self, package: &'static str) -> Self {
        Module { package, ..self }
    }

    /// Builds the module's program as the file `output`, showing progress on stderr.
    ///
    /// # Errors
    /// Go is missing or too old, a module can't be downloaded, or the code doesn't compile; with
    /// the end of what Go printed.
    pub(crate) fn build(&self, output: &Path) -> anyhow::Result<()> {
        let mut progress = Progress::new(self.name, self.count_stale_packages()?);
        let mut build = self.command("build");
        build.args(["-v", "-ldflags", &self.linker_flags, "-o"]).arg(output).arg(self.package);
        run(build, |line| {
            if is_package(line) {
                progress.advance(line);
            }
        })?;
        Ok(())
    }

    /// The directory of a module this one requires, downloading it first.
    ///
    /// # Errors
    /// Go is missing or the download failed.
    pub(crate) fn directory_of(&self, module: &str) -> anyhow::Result<PathBuf> {
        let mut download = self.command("mod");
        download.args(["download", module]);
        run(download, |_| {})?;
        let mut list = self.command("list");
        list.args(["-m", "-f", "{{.Dir}}", module]);
        Ok(PathBuf::from(run(list, |_| {})?.trim()))
    }

    fn count_stale_packages(&self) -> anyhow::Result<u64> {
        let mut list = self.command("list");
        list.args(["-deps", "-ldflags", &self.linker_flags, "-f"])
            .args(["{{if .Stale}}{{.ImportPath}}{{end}}", self.package]);
        let stale = run(list, |line| {
            if line.starts_with("go: downloading") {
                eprintln!("{line}");
            }
        })?;
        let count = stale.lines().filter(|line| !line.is_empty()).count();
        Ok(u64::try_from(count)?)
    }

    fn command(&self, verb: &str) -> Command {
        let mut go = Command::new("go");
        go.arg(verb)
            .current_dir(&self.dir)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false -trimpath");
        go
    }
}

/// Runs Go, hands over its stderr line by line and returns its stdout.
fn run(mut go: Command, each_line: impl FnMut(&str)) -> anyhow::Result<String> {
    let asked = format!("{go:?}");
    let mut child = go
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "there is no `go` on the PATH: install Go 1.26 or newer (https://go.dev/dl). For the control plane it isn't needed if KUBEBUILDER_ASSETS is a directory with etcd, kube-apiserver, kube-controller-manager and kubectl"
            ),
            _ => anyhow!("could not start {asked}: {error}"),
        })?;
    let (stdout, tail) = read_both(&mut child, each_line)?;
    let status = child.wait()?;
    if !status.success() {
        bail!("{asked} failed ({status}):\n{tail}");
    }
    Ok(stdout)
}

/// Reads stdout aside, so that neither stream fills up while the other is read.
fn read_both(child: &mut Child, mut each_line: impl FnMut(&str)) -> anyhow::Result<(String, String)> {
    let mut stdout = child.stdout.take().context("stdout is piped")?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    thread::scope(|scope| {
        let aside = scope.spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        let mut tail = VecDeque::with_capacity(TAIL_LINES);
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            each_line(&line);
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        let text = aside.join().map_err(|_| anyhow!("reading Go's output panicked"))??;
        Ok((text, Vec::from(tail).join("\n")))
    })
}

/// With `-v` Go prints the path of each package it compiles; everything else it says has a space.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains(' ')
}
