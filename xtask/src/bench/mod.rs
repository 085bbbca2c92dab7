//! `cargo xtask bench`: the controller's speed as ratios to the physical limit, in one run, on a real control plane.

mod kfam;
mod phases;
mod plugins;
mod raw;
mod report;
mod requests;
mod subject;
mod watch;
mod work;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use dev_cluster::{Assets, Cluster};
use indicatif::{ProgressBar, ProgressStyle};

use self::{
    report::{Report, Round},
    subject::Subject,
};
use crate::cluster::installation;

/// Measure the controller against the same objects written raw
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    special: Option<Special>,
    /// How many Profiles; several numbers, comma-separated, show how time and memory grow
    #[arg(long, default_value = "1000", value_delimiter = ',', value_name = "COUNT")]
    profiles: Vec<usize>,
    /// How many Profiles are created one after the other to measure how long each takes
    #[arg(long, default_value = "50", value_name = "COUNT")]
    latency_profiles: usize,
    /// How many namespaces of other people there are beside
    #[arg(long, default_value = "0", value_name = "COUNT")]
    foreign_namespaces: usize,
    /// How often the raw writes and "from nothing to ready" are measured, in turn; the median counts
    #[arg(long, default_value = "1", value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..))]
    repetitions: u8,
    /// Another controller over the same work, started with the flags of the contract; may be given several times
    #[arg(long, value_name = "NAME=COMMAND", value_parser = parse_peer)]
    peer: Vec<(String, String)>,
    /// How the result is printed
    #[arg(long, default_value = "table", value_name = "FORMAT", global = true)]
    output: Output,
    /// What is measured, built already; nothing is built then [default: this project's, built with optimisations]
    #[arg(long, value_name = "FILE", global = true)]
    binary: Option<PathBuf>,
}

/// What else can be measured.
#[derive(clap::Subcommand)]
enum Special {
    Kfam(kfam::Args),
    Plugins(plugins::Args),
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

fn parse_peer(text: &str) -> Result<(String, String), String> {
    let (name, command) = text.split_once('=').ok_or("write NAME=COMMAND")?;
    Ok((name.to_owned(), command.to_owned()))
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if cfg!(debug_assertions) && args.binary.is_none() {
        return run_optimised();
    }
    let binary = args.binary.as_deref();
    match &args.special {
        Some(Special::Kfam(special)) => kfam::run(special, binary, args.output),
        Some(Special::Plugins(special)) => plugins::run(special, binary, args.output),
        None => controllers(args, binary),
    }
}

fn controllers(args: &Args, binary: Option<&Path>) -> anyhow::Result<()> {
    let assets = Assets::find()?;
    let mut subjects = vec![Subject::ours(&built("profile-controller", binary)?)];
    subjects.extend(args.peer.iter().map(|(name, command)| Subject::peer(name, command)));
    let mut names = HashSet::new();
    for subject in &subjects {
        let name = subject.name();
        ensure!(
            names.insert(name),
            "--peer: {name} is the name of another controller: choose one of its own"
        );
    }
    let report = tokio::runtime::Runtime::new()?.block_on(measure(args, &assets, &subjects))?;
    match args.output {
        Output::Table => print!("{}", report.table()),
        Output::Json => println!("{}", report.json()?),
    }
    Ok(())
}

/// Runs this very command, built with optimisations: its clients share the cores with what they measure, and the raw writes
/// are a limit only if they are as fast as they can be.
fn run_optimised() -> anyhow::Result<()> {
    eprintln!("Building the benchmark with optimisations");
    let arguments = std::env::args_os().skip(1);
    let status =
        crate::cargo().args(["run", "--release", "--quiet", "-p", "xtask", "--"]).args(arguments).status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

/// The binary of a package with optimisations, or the one that was given.
fn built(package: &str, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    eprintln!("Building {package} with optimisations");
    let status = crate::cargo().args(["build", "--release", "--quiet", "-p", package]).status()?;
    ensure!(status.success(), "building {package} failed");
    Ok(crate::target_folder()?.join("release").join(package))
}

async fn measure(args: &Args, assets: &Assets, subjects: &[Subject]) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for &count in &args.profiles {
        let concurrency = raw::best_concurrency(assets, count).await.context("raw writes")?;
        let mut round = Round::new(count, concurrency);
        for _ in 0..args.repetitions {
            let raw = raw::measure(assets, count, args.foreign_namespaces, concurrency).await;
            round.raw.push(raw.context("raw writes")?);
            for subject in subjects {
                let cluster = start(assets).await?;
                work::create_foreign_namespaces(&cluster, args.foreign_namespaces).await?;
                let measured = match round.of(subject.name()) {
                    None => phases::measure(&cluster, subject, count, args.latency_profiles)
                        .await
                        .map(|phases| round.add(subject.name(), phases)),
                    Some(phases) => phases::from_nothing(&cluster, subject, count)
                        .await
                        .map(|again| phases.from_nothing.push(again)),
                };
                measured.with_context(|| subject.name().to_owned())?;
            }
        }
        report.rounds.push(round);
    }
    Ok(report)
}

/// A control plane with nothing in it but what is installed.
async fn start(assets: &Assets) -> anyhow::Result<Cluster> {
    Cluster::builder().manifest(installation(assets)?).start().await
}

/// A bar on standard error that says what is being done.
fn progress(what: impl Into<String>, total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<44} {wide_bar} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(total as u64).with_message(what.into());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
