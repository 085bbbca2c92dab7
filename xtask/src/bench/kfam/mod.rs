//! `cargo xtask bench kfam`: how fast access management answers, on a cluster full of Profiles and bindings.

mod data;
mod load;
mod report;
mod server;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use dev_cluster::{Assets, Cluster};

use self::{
    load::{Load, Target},
    report::{Measured, Report},
    server::Server,
};
use super::Output;
use crate::cluster::installation;

/// How many connections ask at a time.
const CONNECTIONS: usize = 16;

/// Measure access management: bindings of a user, of a namespace, and all of them
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many Profiles, each with five bindings: 10000 take some minutes to create
    #[arg(long, default_value = "1000", value_name = "COUNT")]
    profiles: usize,
    /// How long each kind of question is asked, in seconds
    #[arg(long, default_value = "5", value_name = "SECONDS")]
    seconds: u64,
    /// Another implementation, started with the flags of the contract; it listens on port 8081
    #[arg(long, value_name = "NAME=COMMAND", value_parser = super::parse_peer)]
    peer: Vec<(String, String)>,
}

pub(super) fn run(args: &Args, binary: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let assets = Assets::find()?;
    let mut servers = vec![Server::ours(&super::built("kfam", binary)?)];
    servers.extend(args.peer.iter().map(|(name, command)| Server::peer(name, command)));
    let report = tokio::runtime::Runtime::new()?.block_on(measure(args, &assets, &servers))?;
    match output {
        Output::Table => print!("{}", report.table()),
        Output::Json => println!("{}", report.json()?),
    }
    Ok(())
}

async fn measure(args: &Args, assets: &Assets, servers: &[Server]) -> anyhow::Result<Report> {
    let role = std::fs::read_to_string(crate::root().join("manifests/components/kfam/role.yaml"))?;
    let binding = std::fs::read_to_string(crate::root().join("manifests/components/kfam/role-binding.yaml"))?;
    let builder = Cluster::builder().manifest(installation(assets)?).manifest(role).manifest(binding);
    let cluster = builder.start().await?;
    // It would fill each namespace with objects of its own, and nobody looks at those.
    cluster.stop_controller_manager();
    data::create(&cluster.admin(), args.profiles).await?;
    let mut report = Report { profiles: args.profiles, servers: Vec::new() };
    for server in servers {
        let measured = one(&cluster, server, args).await.with_context(|| server.name().to_owned())?;
        report.servers.push((server.name().to_owned(), measured));
    }
    Ok(report)
}

async fn one(cluster: &Cluster, server: &Server, args: &Args) -> anyhow::Result<Measured> {
    eprintln!("{}: starting", server.name());
    let begin = Instant::now();
    let running = server.start(cluster).await?;
    let target = Target { address: running.address.clone() };
    let all = "/kfam/v1/bindings".to_owned();
    let expected = args.profiles * data::BINDINGS;
    let ready = begin.elapsed() + load::until_complete(&target, &all, expected)?;
    let start = running.usage()?;

    let duration = Duration::from_secs(args.seconds);
    let profiles = args.profiles;
    let by_user = move |number: usize| format!("/kfam/v1/bindings?user={}", data::user(number % profiles));
    let by_namespace =
        move |number: usize| format!("/kfam/v1/bindings?namespace={}", data::profile(number % profiles));
    let everything = move |_: usize| all.clone();
    let mut loads: Vec<(&'static str, usize, Load)> = Vec::new();
    for (name, connections, path) in [
        ("of a user, one client", 1, &by_user as &(dyn Fn(usize) -> String + Sync)),
        ("of a user", CONNECTIONS, &by_user),
        ("of a namespace", CONNECTIONS, &by_namespace),
        ("all of them, one client", 1, &everything),
    ] {
        eprintln!("{}: {name}", server.name());
        loads.push((name, connections, load::measure(&target, connections, duration, path)?));
    }
    Ok(Measured { ready, start, end: running.usage()?, loads })
}
