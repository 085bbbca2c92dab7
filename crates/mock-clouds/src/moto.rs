//! moto, which plays AWS: installed once into a virtual environment in the user's cache, and run until it is dropped.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, ensure};

const VERSION: &str = "5.2.5";

/// Runs the program in `$@` until the pipe on standard input closes, because its owner has let go of it or has died.
const SUPERVISOR: &str = r#""$@" </dev/null & program=$!; read -r _; kill -9 "$program""#;

/// A server.
pub(crate) struct Moto {
    pub(crate) port: u16,
    _lifeline: Option<ChildStdin>,
    _supervisor: Child,
}

impl Moto {
    /// Starts a server; it may take a moment until it answers. Blocks.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = installed()?.join("bin/moto_server");
        let port = crate::free_port()?;
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "moto"])
            .arg(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting moto")?;
        Ok(Self { port, _lifeline: supervisor.stdin.take(), _supervisor: supervisor })
    }
}

/// The virtual environment. Processes that need it at the same time wait for one of them.
fn installed() -> anyhow::Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            env::home_dir().context("neither XDG_CACHE_HOME nor HOME says where to keep moto")?.join(".cache")
        }
    };
    let cache = cache.join("kubeflow-profile-controller");
    fs::create_dir_all(&cache)?;
    let environment = cache.join(format!("moto-{VERSION}"));
    // Written last, so that an installation that was broken off is begun again.
    let complete = environment.join(".complete");
    if complete.exists() {
        return Ok(environment);
    }
    let lock = File::create(cache.join(".moto-lock"))?;
    lock.lock().context("waiting for another process that installs moto")?;
    if !complete.exists() {
        eprintln!("moto: installing version {VERSION} into {}", environment.display());
        let _ = fs::remove_dir_all(&environment);
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let pip = environment.join("bin/pip");
        let package = format!("moto[server]=={VERSION}");
        run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", &package]))?;
        File::create(&complete)?;
    }
    Ok(environment)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("starting {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program} failed while installing moto: {said}");
    Ok(())
}
