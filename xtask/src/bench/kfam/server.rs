//! An implementation of access management under measurement, as a process.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use dev_cluster::{Cluster, Process};

use crate::{
    bench::subject::Usage,
    dev::{SERVICE_ACCOUNT, SYSTEM_NAMESPACE},
};

/// Where one listens that cannot be told.
const FIXED_ADDRESS: &str = "127.0.0.1:8081";

/// What can be started with the flags of the contract.
pub(super) struct Server {
    name: String,
    command: Vec<String>,
    ours: bool,
}

impl Server {
    /// This project's.
    pub(super) fn ours(binary: &Path) -> Self {
        Self { name: "kfam".to_owned(), command: vec![binary.display().to_string()], ours: true }
    }

    /// Another.
    pub(super) fn peer(name: &str, command: &str) -> Self {
        let command = command.split_whitespace().map(str::to_owned).collect();
        Self { name: name.to_owned(), command, ours: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it. A peer gets every permission, as it may want more than ours.
    pub(super) async fn start(&self, cluster: &Cluster) -> anyhow::Result<Running> {
        let kubeconfig = if self.ours {
            cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, SERVICE_ACCOUNT).await?
        } else {
            cluster.user_kubeconfig("bench-peer", &["system:masters"])?
        };
        let (program, arguments) = self.command.split_first().context("an empty command")?;
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", &kubeconfig);
        command.args([
            "-userid-header",
            "kubeflow-userid",
            "-userid-prefix",
            "",
            "-cluster-admin",
            "root@example.com",
        ]);
        if self.ours {
            command.arg("--bind-address=127.0.0.1:0");
        }
        let log = cluster.folder().join(format!("{}.log", self.name));
        let process = cluster.run(&command, &log)?;
        let address = if self.ours { logged_address(&log).await? } else { FIXED_ADDRESS.to_owned() };
        Ok(Running { process, address })
    }
}

async fn logged_address(log: &PathBuf) -> anyhow::Result<String> {
    for _ in 0..500 {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let line = text.lines().find(|line| line.contains("serving access management on"));
        if let Some(address) = line.and_then(|line| line.rsplit(' ').next()) {
            return Ok(address.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("it does not say where it listens: {}", std::fs::read_to_string(log).unwrap_or_default())
}

/// One that runs.
pub(super) struct Running {
    process: Process,
    pub(super) address: String,
}

impl Running {
    /// What it has used so far.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.pid()?)
    }
}
