//! `cargo xtask screenshots`: the pictures of the documentation.

use std::{fs, path::Path, process::Command};

use anyhow::ensure;
use dev_cluster::Assets;

use crate::debian;

const FOLDER: &str = "docs/screenshots";
/// The test that sees every page.
const TEST: &str = "everywhere::every_page_is_accessible_in_light_and_dark_wide_and_narrow";

/// Take the pictures of the documentation, in a browser that the tests use
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    debian::install_missing()?;
    debian::install(&[("pngquant", "pngquant")])?;
    Assets::find()?.istio_crds()?;
    let folder = crate::root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    let mut cargo = crate::cargo();
    cargo.args(["test", "-p", "kfam", "--test", "browser", "--", "--exact", TEST]);
    let status = cargo.env("SCREENSHOTS", &folder).status()?;
    ensure!(status.success(), "taking the pictures failed");
    make_small(&folder)?;
    println!("The pictures are in {FOLDER}");
    Ok(())
}

/// A third of the size, and the same to the eye.
fn make_small(folder: &Path) -> anyhow::Result<()> {
    let mut pictures =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    pictures.retain(|file| file.extension().is_some_and(|extension| extension == "png"));
    let status =
        Command::new("pngquant").args(["--force", "--strip", "--ext=.png", "--"]).args(pictures).status()?;
    ensure!(status.success(), "making the pictures small failed");
    Ok(())
}
