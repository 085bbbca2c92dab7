//! `cargo xtask screenshots`: the pictures of the documentation.

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
    Assets::find()?.istio_crds()?;
    let folder = crate::root().join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let mut cargo = crate::cargo();
    cargo.args(["test", "-p", "kfam", "--test", "browser", "--", "--exact", TEST]);
    let status = cargo.env("SCREENSHOTS", &folder).status()?;
    ensure!(status.success(), "taking the pictures failed");
    println!("The pictures are in {FOLDER}");
    Ok(())
}
