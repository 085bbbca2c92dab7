//! `cargo xtask bench plugins`: how long Profiles with a plugin take when each call to the cloud takes a while, and how many calls
//! they cost.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use dev_cluster::{Assets, Cluster};
use kube::{Api, api::PostParams};
use mock_clouds::{Aws, Gcp};
use profile_api::{Plugin, Profile};
use serde_json::{Value, json};

use super::{
    Output, progress,
    requests::{Requests, until_silent},
    subject::Subject,
    watch, work,
};

const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC";

/// Measure Profiles with a plugin, against clouds whose calls take a while
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many Profiles for each cloud
    #[arg(long, default_value = "200", value_name = "COUNT")]
    profiles: usize,
    /// How long a call to a cloud takes, in milliseconds
    #[arg(long, default_value = "100", value_name = "MILLISECONDS")]
    call_time: u64,
}

struct Clouds {
    aws: Aws,
    gcp: Gcp,
}

impl Clouds {
    fn calls(&self) -> usize {
        self.aws.weather.calls("").len() + self.gcp.weather.calls("").len()
    }
}

/// What Profiles with one kind of plugin took.
struct Measured {
    kind: &'static str,
    /// From the start of the controller until all are ready.
    ready: Duration,
    /// Calls to the cloud until then.
    calls: usize,
    /// Requests to the API server that write, until then.
    writes: usize,
    /// Calls to the cloud after a restart with nothing to do.
    calls_after_restart: usize,
}

pub(super) fn run(args: &Args, binary: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let assets = Assets::find()?;
    let subject = Subject::ours(&super::built("profile-controller", binary)?);
    let all = tokio::runtime::Runtime::new()?.block_on(async {
        let mut all = Vec::new();
        for kind in ["WorkloadIdentity", "AwsIamForServiceAccount"] {
            all.push(measure(args, &assets, &subject, kind).await?);
        }
        anyhow::Ok(all)
    })?;
    match output {
        Output::Table => print!("{}", table(args, &all)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&json(args, &all))?),
    }
    for Measured { kind, calls, calls_after_restart, .. } in &all {
        ensure!(*calls <= 2 * args.profiles, "{kind}: more than 2 calls a Profile");
        ensure!(*calls_after_restart == 0, "{kind}: calls although nothing has changed");
    }
    Ok(())
}

fn table(args: &Args, all: &[Measured]) -> String {
    let each = |count: usize| count as f64 / args.profiles as f64;
    let mut text = format!(
        "{} Profiles with a plugin, {} ms a call\n\n{:<24} {:>10} {:>14} {:>16} {:>22}\n",
        args.profiles,
        args.call_time,
        "",
        "all ready",
        "calls/Profile",
        "writes/Profile",
        "calls after a restart"
    );
    for Measured { kind, ready, calls, writes, calls_after_restart } in all {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{kind:<24} {:>8.1} s {:>14.2} {:>16.2} {calls_after_restart:>22}",
            ready.as_secs_f64(),
            each(*calls),
            each(*writes)
        );
    }
    text
}

fn json(args: &Args, all: &[Measured]) -> Value {
    let plugins = all.iter().map(|it| {
        json!({
            "kind": it.kind,
            "seconds": it.ready.as_secs_f64(),
            "calls": it.calls,
            "writes": it.writes,
            "callsAfterRestart": it.calls_after_restart,
        })
    });
    json!({
        "profiles": args.profiles,
        "callMilliseconds": args.call_time,
        "plugins": plugins.collect::<Vec<_>>(),
    })
}

async fn measure(
    args: &Args,
    assets: &Assets,
    subject: &Subject,
    kind: &'static str,
) -> anyhow::Result<Measured> {
    let cluster = super::start(assets).await?;
    let clouds = Clouds { aws: Aws::start().await?, gcp: Gcp::start().await? };
    for number in 0..args.profiles {
        create(&cluster, &clouds, kind, &work::name(number)).await?;
    }
    let call_time = Duration::from_millis(args.call_time);
    clouds.aws.weather.delay(call_time);
    clouds.gcp.weather.delay(call_time);

    let environment: Vec<_> = clouds.aws.environment().into_iter().chain(clouds.gcp.environment()).collect();
    let flags = [format!("--gke-iam-endpoint={}", clouds.gcp.url()), format!("--eks-oidc-issuer={ISSUER}")];
    let labels = cluster.folder().join("namespace-labels.yaml");
    std::fs::write(&labels, "bench/first: \"1\"\n")?;
    let mark = cluster.audit().settled().await?;
    let bar = progress(format!("{kind}: from nothing to ready"), args.profiles);
    let watched = watch::profiles_where(cluster.admin(), |profile: &Profile| {
        profile.status.as_ref().is_some_and(|status| status.is_ready())
    });
    let begin = Instant::now();
    let controller = subject.start_with(&cluster, &labels, &flags, &environment).await?;
    watch::until_all(watched, args.profiles, &bar).await?;
    let ready = begin.elapsed();
    until_silent(&cluster, &subject.user()).await?;
    let calls = clouds.calls();
    let writes = Requests::since(&cluster, mark, &subject.user()).await?.writes();
    drop(controller);

    let controller = subject.start_with(&cluster, &labels, &flags, &environment).await?;
    until_silent(&cluster, &subject.user()).await?;
    let calls_after_restart = clouds.calls() - calls;
    drop(controller);
    Ok(Measured { kind, ready, calls, writes, calls_after_restart })
}

/// A Profile with a plugin, for a role or service account of its own.
async fn create(cluster: &Cluster, clouds: &Clouds, kind: &str, name: &str) -> anyhow::Result<()> {
    let (field, value) = if kind == "WorkloadIdentity" {
        let email = format!("{name}@vision.iam.gserviceaccount.com");
        clouds.gcp.create(&email, json!([]));
        ("gcpServiceAccount", email)
    } else {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole",
        }] });
        ("awsIamRole", clouds.aws.create_role("/", name, &trust).await?)
    };
    let mut profile = work::profile(name);
    let spec = [(field.to_owned(), Value::from(value))].into_iter().collect();
    profile.spec.plugins = vec![Plugin { kind: kind.to_owned(), spec, ..Plugin::default() }];
    Api::<Profile>::all(cluster.admin()).create(&PostParams::default(), &profile).await?;
    Ok(())
}
