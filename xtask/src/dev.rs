//! `cargo xtask dev`: the controller and access management at work, for somebody who has just cloned the repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use dev_cluster::{Assets, Cluster};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use profile_api::{Profile, SubjectKind};
use tokio::signal::ctrl_c;

use crate::{cluster, samples, self_serve::SelfServe, story};

const SAMPLE: &str = "manifests/samples/profile.yaml";
/// What access management may do; here it has a process of its own, but the controller's ServiceAccount as in its pod.
const KFAM_MANIFESTS: [&str; 2] =
    ["manifests/components/kfam/role.yaml", "manifests/components/kfam/role-binding.yaml"];
pub(crate) const SYSTEM_NAMESPACE: &str = "profiles-system";
pub(crate) const SERVICE_ACCOUNT: &str = "profiles-controller-service-account";

/// Start a control plane, the controller and access management, and show what sample Profiles become
#[derive(clap::Args)]
pub(crate) struct Args {
    /// End with success once the first sample Profile is ready and the others were looked at, instead of staying until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Use the cluster of the current kubeconfig, with the controller alone: the CRD, the roles and the samples are applied
    /// there, and stay
    #[arg(long)]
    existing: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let assets = Assets::find()?;
    let (controller, kfam) = build()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        if args.existing {
            in_existing(&assets, &controller, args.once).await
        } else {
            in_own(&assets, &controller, &kfam, args.once).await
        }
    })
}

/// In a control plane of its own, with the controller under its own role.
async fn in_own(assets: &Assets, controller: &Path, kfam: &Path, once: bool) -> anyhow::Result<()> {
    let cluster = cluster::start(assets).await?;
    for file in KFAM_MANIFESTS {
        cluster.apply(&fs::read_to_string(crate::root().join(file))?).await?;
    }
    let kubeconfig = cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, SERVICE_ACCOUNT).await?;
    let log = cluster.folder().join("controller.log");
    eprintln!("Starting the controller as ServiceAccount {SYSTEM_NAMESPACE}/{SERVICE_ACCOUNT}\n");
    let running = cluster.run(controller_command(controller).env("KUBECONFIG", &kubeconfig), &log)?;
    let shown = show(&cluster.admin()).await;
    if shown.is_err() {
        eprintln!("The log of the controller:\n{}", fs::read_to_string(&log).unwrap_or_default());
    }
    let sample = shown?;
    samples::show(cluster.admin()).await?;
    let users = users(&sample)?;
    let self_serve = SelfServe::start(&cluster, kfam, &kubeconfig, &users).await?;
    self_serve.check(&users[0], &sample.name_any()).await?;
    println!("\nAccess management shows it to {}", users[0]);
    if !once {
        stay(assets, &cluster, &self_serve, &log).await?;
    }
    drop((running, self_serve));
    Ok(())
}

/// In the cluster of the current kubeconfig, with the controller as the user that it names.
async fn in_existing(assets: &Assets, controller: &Path, once: bool) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no cluster to talk to: set KUBECONFIG")?;
    eprintln!("Applying the CRD and the roles to the cluster of the current kubeconfig");
    let manifest = cluster::installation(assets)?;
    dev_cluster::apply(&client, &manifest).await?;
    eprintln!("Starting the controller as the current user\n");
    let mut running =
        tokio::process::Command::from(controller_command(controller)).kill_on_drop(true).spawn()?;
    show(&client).await?;
    samples::show(client).await?;
    if !once {
        println!("\nThe controller runs until Ctrl-C; what it has created stays.");
        tokio::select! {
            _ = ctrl_c() => {}
            _ = running.wait() => {}
        }
    }
    Ok(())
}

/// The controller and access management.
fn build() -> anyhow::Result<(PathBuf, PathBuf)> {
    eprintln!("Building the controller and access management");
    let status =
        crate::cargo().args(["build", "--quiet", "-p", "profile-controller", "-p", "kfam"]).status()?;
    ensure!(status.success(), "building them failed");
    let folder = crate::target_folder()?.join("debug");
    Ok((folder.join("profile-controller"), folder.join("kfam")))
}

/// With the header that Kubeflow's manifests set, and no fixed ports.
fn controller_command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["--userid-header=kubeflow-userid", "--userid-prefix="]);
    command.args(["--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0"]);
    command
}

/// Creates the sample Profile and shows the objects as they appear, until it is ready.
async fn show(client: &Client) -> anyhow::Result<Profile> {
    let text = fs::read_to_string(crate::root().join(SAMPLE))?;
    let sample: Profile = serde_saphyr::from_str(&text).with_context(|| SAMPLE.to_owned())?;
    let name = sample.name_any();
    println!("Profile {name}, from {SAMPLE}:\n");
    let story = story::Story::begin(client.clone(), &name);
    let profiles: Api<Profile> = Api::all(client.clone());
    profiles.patch(&name, &PatchParams::apply("xtask-dev"), &Patch::Apply(&sample)).await?;
    story.tell_until_ready().await?;
    Ok(sample)
}

/// Who may be chosen in the browser: the owner of the sample first, then the other people who own one.
fn users(sample: &Profile) -> anyhow::Result<Vec<String>> {
    let first = sample.spec.owner.name.clone();
    let samples = samples::read()?;
    let owners = samples.values().map(|(_, profile)| &profile.spec.owner);
    let people = owners.filter(|owner| owner.kind == SubjectKind::User.as_str() && owner.name != first);
    let people = people.map(|owner| owner.name.clone());
    Ok(std::iter::once(first.clone()).chain(people).collect())
}

async fn stay(assets: &Assets, cluster: &Cluster, pages: &SelfServe, log: &Path) -> anyhow::Result<()> {
    println!("\nIn a browser, where you choose who you are:\n\n  {}", pages.url());
    println!("\nAll of it stays until Ctrl-C. In another terminal:\n");
    println!("{}", cluster::how_to_use(assets, cluster));
    println!("  tail -f {}", log.display());
    ctrl_c().await.context("waiting for Ctrl-C")
}
