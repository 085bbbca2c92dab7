//! Programs that tests need and that come as packages of Debian and Ubuntu.

use std::{env, process::Command};

use anyhow::{Context, ensure};

/// Packages, each with a program by which it is known to be there.
const PACKAGES: [(&str, &str); 7] = [
    ("faketime", "faketime"),
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
    ("npm", "npm"),
    ("prometheus", "promtool"),
    ("make", "make"),
    ("jq", "jq"),
];

/// Installs the packages that are missing.
///
/// # Errors
/// When that is not possible, with what is to be installed by hand.
pub(crate) fn install_missing() -> anyhow::Result<()> {
    install(&PACKAGES)
}

/// Installs those of some packages, each with a program of it, that are missing.
///
/// # Errors
/// As [`install_missing`].
pub(crate) fn install(packages: &[(&'static str, &str)]) -> anyhow::Result<()> {
    let missing = packages.iter().filter(|(_, program)| !is_there(program));
    let missing: Vec<&str> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Installing what is needed: {}", missing.join(" "));
    apt_get(&["update", "-qq"])
        .and_then(|()| {
            apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat())
        })
        .with_context(|| format!("{} is needed: install it and try again", missing.join(" ")))
}

fn is_there(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// As root, or by way of sudo.
fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let is_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.arg("apt-get");
    }
    let status = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status()?;
    ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}
