//! A controller under measurement, as a process.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use dev_cluster::{Cluster, Process};

use crate::dev::{SERVICE_ACCOUNT, SYSTEM_NAMESPACE};

/// A controller that can be started with the flags of the contract.
pub(super) struct Subject {
    name: String,
    command: Vec<String>,
    /// Whether it says in the status when a Profile is ready.
    pub(super) reports_ready: bool,
}

impl Subject {
    /// This project's controller.
    pub(super) fn ours(binary: &Path) -> Self {
        let command = vec![binary.display().to_string()];
        Self { name: "profile-controller".to_owned(), command, reports_ready: true }
    }

    /// Another controller.
    pub(super) fn peer(name: &str, command: &str) -> Self {
        let command = command.split_whitespace().map(str::to_owned).collect();
        Self { name: name.to_owned(), command, reports_ready: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How the API server names it.
    pub(super) fn user(&self) -> String {
        if self.reports_ready {
            format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{SERVICE_ACCOUNT}")
        } else {
            PEER.to_owned()
        }
    }

    /// Starts it. A peer gets every permission, as it may want more than ours.
    pub(super) async fn start(&self, cluster: &Cluster, labels: &Path) -> anyhow::Result<Running> {
        self.start_with(cluster, labels, &[], &[]).await
    }

    /// The same, with further flags and environment variables.
    pub(super) async fn start_with(
        &self,
        cluster: &Cluster,
        labels: &Path,
        flags: &[String],
        environment: &[(&str, String)],
    ) -> anyhow::Result<Running> {
        let kubeconfig = if self.reports_ready {
            cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, SERVICE_ACCOUNT).await?
        } else {
            cluster.user_kubeconfig(PEER, &["system:masters"])?
        };
        let (program, arguments) = self.command.split_first().context("an empty command")?;
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", &kubeconfig);
        command.args(["-userid-header", "kubeflow-userid", "-userid-prefix", "", "-workload-identity", ""]);
        command.args(["-namespace-labels-path", &labels.display().to_string()]);
        command.args(["-metrics-bind-address=0", "-health-probe-bind-address=0"]);
        command.args(flags).envs(environment.iter().map(|(name, value)| (name, value)));
        let process = cluster.run(&command, &cluster.folder().join(format!("{}.log", self.name)))?;
        Ok(Running { process })
    }
}

const PEER: &str = "bench-peer";

/// A controller that runs.
pub(super) struct Running {
    process: Process,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// CPU time since it started.
    pub(super) cpu: Duration,
    /// Resident memory now, in bytes.
    pub(super) resident: u64,
    /// The most resident memory that it ever had, in bytes.
    pub(super) peak: u64,
}

impl Running {
    /// What it has used so far.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.pid()?)
    }
}

impl Usage {
    /// What a process has used so far.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let stat = std::fs::read_to_string(proc.join("stat"))?;
        // The fields after the name, which may hold anything, in parentheses: state is the first.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        let status = std::fs::read_to_string(proc.join("status"))?;
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        Ok(Usage {
            // Linux counts in hundredths of a second.
            cpu: Duration::from_millis((ticks(11) + ticks(12)) * 10),
            resident: kilobytes("VmRSS") * 1024,
            peak: kilobytes("VmHWM") * 1024,
        })
    }
}
