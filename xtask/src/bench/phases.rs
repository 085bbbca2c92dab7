//! What a controller is put through, one phase after the other on one control plane.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use dev_cluster::Cluster;
use futures::stream::BoxStream;
use indicatif::ProgressBar;
use kube::{Api, ResourceExt, api::PostParams};
use profile_api::{Profile, names};
use profile_render::OwnedKind;

use super::{
    progress,
    report::FROM_NOTHING,
    requests::{Requests, until_silent},
    subject::{Running, Subject, Usage},
    watch, work,
};

/// What one phase took.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// What was done.
    pub(super) name: &'static str,
    /// Of how many Profiles.
    pub(super) profiles: usize,
    pub(super) elapsed: Duration,
    pub(super) requests: Requests,
    /// CPU time in this phase.
    pub(super) cpu: Duration,
    /// Memory at its end.
    pub(super) usage: Usage,
    /// CPU time of the control plane's components in this phase.
    pub(super) control_plane: BTreeMap<&'static str, Duration>,
}

/// All phases, and how long single Profiles took, sorted.
pub(super) struct Phases {
    pub(super) phases: Vec<Phase>,
    pub(super) latencies: Vec<Duration>,
    /// How long the first phase took, each time it was measured.
    pub(super) from_nothing: Vec<Duration>,
}

struct Bench<'a> {
    cluster: &'a Cluster,
    subject: &'a Subject,
    labels: PathBuf,
    phases: Vec<Phase>,
}

/// Puts a controller through everything with `count` Profiles.
pub(super) async fn measure(
    cluster: &Cluster,
    subject: &Subject,
    count: usize,
    latency_profiles: usize,
) -> anyhow::Result<Phases> {
    let mut bench = Bench::new(cluster, subject)?;
    work::create(&cluster.admin(), 0..count).await?;
    let controller = bench.get_ready(count).await?;
    let latencies = bench.one_by_one(&controller, count, latency_profiles).await?;
    drop(controller);
    let count = count + latency_profiles;
    let controller = bench.restart(count).await?;
    bench.label_added(&controller, count).await?;
    bench.owner_changed(&controller, count).await?;
    bench.all_deleted(&controller, count).await?;
    let from_nothing = vec![bench.phases[0].elapsed];
    Ok(Phases { phases: bench.phases, latencies, from_nothing })
}

/// The first of the phases once more: how long it took.
pub(super) async fn from_nothing(
    cluster: &Cluster,
    subject: &Subject,
    count: usize,
) -> anyhow::Result<Duration> {
    let mut bench = Bench::new(cluster, subject)?;
    work::create(&cluster.admin(), 0..count).await?;
    bench.get_ready(count).await?;
    Ok(bench.phases[0].elapsed)
}

impl<'a> Bench<'a> {
    fn new(cluster: &'a Cluster, subject: &'a Subject) -> anyhow::Result<Self> {
        let labels = cluster.folder().join("namespace-labels.yaml");
        fs::write(&labels, "bench/first: \"1\"\n")?;
        Ok(Bench { cluster, subject, labels, phases: Vec::new() })
    }

    async fn get_ready(&mut self, count: usize) -> anyhow::Result<Running> {
        let mark = self.begin().await?;
        let bar = progress(format!("{}: {FROM_NOTHING}", self.subject.name()), count);
        let controller = self.start().await?;
        let elapsed = watch::until_all(self.in_place(), count, &bar).await?;
        self.end(FROM_NOTHING, count, elapsed, mark, &controller, Usage::default()).await?;
        Ok(controller)
    }

    /// The Profiles that are in place, as they come to be.
    fn in_place(&self) -> BoxStream<'static, String> {
        if self.subject.reports_ready {
            watch::profiles_where(self.cluster.admin(), is_ready)
        } else {
            watch::profiles_in_place(self.cluster.admin())
        }
    }

    async fn one_by_one(
        &mut self,
        controller: &Running,
        first: usize,
        count: usize,
    ) -> anyhow::Result<Vec<Duration>> {
        let bar = progress(format!("{}: one by one", self.subject.name()), count);
        let mut in_place = self.in_place();
        watch::until_all(&mut in_place, first, &ProgressBar::hidden()).await?;
        let before = controller.usage()?;
        let mark = self.begin().await?;
        let api: Api<Profile> = Api::all(self.cluster.admin());
        let mut latencies = Vec::new();
        let begin = Instant::now();
        for name in (first..first + count).map(work::name) {
            let created = Instant::now();
            api.create(&PostParams::default(), &work::profile(&name)).await?;
            watch::until_seen(&mut in_place, &name).await?;
            latencies.push(created.elapsed());
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.end("one by one", count, begin.elapsed(), mark, controller, before).await?;
        latencies.sort_unstable();
        Ok(latencies)
    }

    async fn restart(&mut self, count: usize) -> anyhow::Result<Running> {
        let bar = progress(format!("{}: restart with nothing to do", self.subject.name()), count);
        let mark = self.begin().await?;
        let controller = self.start().await?;
        let elapsed = until_silent(self.cluster, &self.subject.user()).await?;
        bar.finish_and_clear();
        self.end("restart", count, elapsed, mark, &controller, Usage::default()).await?;
        Ok(controller)
    }

    async fn label_added(&mut self, controller: &Running, count: usize) -> anyhow::Result<()> {
        let bar = progress(format!("{}: a label added", self.subject.name()), count);
        let before = controller.usage()?;
        let mark = self.begin().await?;
        let labelled = watch::objects_where(self.cluster.admin(), OwnedKind::Namespace, |namespace| {
            namespace.labels().contains_key("bench/second")
        });
        fs::write(&self.labels, "bench/first: \"1\"\nbench/second: \"2\"\n")?;
        let elapsed = watch::until_all(labelled, count, &bar).await?;
        until_silent(self.cluster, &self.subject.user()).await?;
        self.end("a label added", count, elapsed, mark, controller, before).await
    }

    async fn owner_changed(&mut self, controller: &Running, count: usize) -> anyhow::Result<()> {
        if !self.subject.reports_ready {
            // The reference refuses it for ever.
            return Ok(());
        }
        let bar = progress(format!("{}: owners changed", self.subject.name()), count);
        let before = controller.usage()?;
        let mark = self.begin().await?;
        let owner = "next@example.com";
        let changed = watch::objects_where(self.cluster.admin(), OwnedKind::RoleBinding, move |binding| {
            binding.annotations().get(names::USER_ANNOTATION).is_some_and(|user| user == owner)
        });
        let begin = Instant::now();
        work::change_owners(&self.cluster.admin(), count, owner).await?;
        watch::until_all(changed, count, &bar).await?;
        let elapsed = begin.elapsed();
        until_silent(self.cluster, &self.subject.user()).await?;
        self.end("owners changed", count, elapsed, mark, controller, before).await
    }

    async fn all_deleted(&mut self, controller: &Running, count: usize) -> anyhow::Result<()> {
        let bar = progress(format!("{}: all deleted", self.subject.name()), count);
        let before = controller.usage()?;
        let mark = self.begin().await?;
        let api: Api<Profile> = Api::all(self.cluster.admin());
        let begin = Instant::now();
        work::delete_all(&self.cluster.admin(), count).await?;
        loop {
            let left = api.list_metadata(&Default::default()).await?.items.len();
            bar.set_position((count - left.min(count)) as u64);
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let elapsed = begin.elapsed();
        until_silent(self.cluster, &self.subject.user()).await?;
        bar.finish_and_clear();
        self.end("all deleted", count, elapsed, mark, controller, before).await
    }

    async fn start(&self) -> anyhow::Result<Running> {
        self.subject.start(self.cluster, &self.labels).await
    }

    async fn begin(&self) -> anyhow::Result<Begin> {
        Ok(Begin { audit: self.cluster.audit().settled().await?, cpu: cpu_of_components(self.cluster) })
    }

    async fn end(
        &mut self,
        name: &'static str,
        profiles: usize,
        elapsed: Duration,
        mark: Begin,
        controller: &Running,
        before: Usage,
    ) -> anyhow::Result<()> {
        let usage = controller.usage()?;
        let control_plane = cpu_of_components(self.cluster)
            .into_iter()
            .map(|(name, cpu)| (name, cpu.saturating_sub(mark.cpu.get(name).copied().unwrap_or_default())))
            .collect();
        let requests = Requests::since(self.cluster, mark.audit, &self.subject.user()).await?;
        self.phases.push(Phase {
            name,
            profiles,
            elapsed,
            requests,
            cpu: usage.cpu.saturating_sub(before.cpu),
            usage,
            control_plane,
        });
        Ok(())
    }
}

/// How things stood when a phase began.
struct Begin {
    audit: dev_cluster::Mark,
    cpu: BTreeMap<&'static str, Duration>,
}

/// CPU time of the control plane's components since they started.
fn cpu_of_components(cluster: &Cluster) -> BTreeMap<&'static str, Duration> {
    let processes = cluster.processes().into_iter();
    processes.filter_map(|(name, pid)| Some((name, Usage::of(pid).ok()?.cpu))).collect()
}

fn is_ready(profile: &Profile) -> bool {
    profile.status.as_ref().is_some_and(|status| status.is_ready())
}
