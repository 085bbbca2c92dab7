//! Metrics: the reference's under their exact names, those that dashboards for controller-runtime read, and Profiles by
//! readiness.

use std::{collections::HashSet, time::Duration};

use parking_lot::Mutex;
use profile_api::ProfileCondition;
use profile_runtime::metrics::{ClientRequests, Heartbeat, counters, encode, registry};
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::{backoff::Retry, lease::LEASE, problem::Problem, stores::Profiles};

const COMPONENT: &str = "profile_controller";
const CONTROLLER: &str = "profile";
/// What the reference counts, as `kind`.
const RECONCILE: &str = "reconcile";

/// All metrics of the controller.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    failures: IntCounterVec,
    pub(crate) heartbeat: Heartbeat,
    results: IntCounterVec,
    errors: IntCounter,
    duration: Histogram,
    active: IntGauge,
    depth: IntGauge,
    retries: IntCounter,
    pub(crate) client_requests: ClientRequests,
    leading: IntGaugeVec,
    profiles: IntGaugeVec,
    tasks: IntGauge,
    waiting: Mutex<HashSet<String>>,
}

impl Metrics {
    /// Registers all metrics. `max_concurrent_reconciles` is reported as it is.
    ///
    /// # Errors
    /// When a name is registered twice or malformed, which would be a mistake in this file.
    pub(crate) fn new(max_concurrent_reconciles: u16) -> prometheus::Result<Self> {
        let registry = registry()?;
        let counters = |name: &str, help: &str, labels: &[&str]| counters(&registry, name, help, labels);
        let gauges = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let controller = ["controller"];
        let max = Gauge::with_opts(
            Opts::new(
                "controller_runtime_max_concurrent_reconciles",
                "Profiles worked on at the same time, at most",
            )
            .const_label("controller", CONTROLLER),
        )?;
        max.set(f64::from(max_concurrent_reconciles));
        registry.register(Box::new(max))?;
        let duration = Histogram::with_opts(
            HistogramOpts::new("controller_runtime_reconcile_time_seconds", "How long a reconcile takes")
                .const_label("controller", CONTROLLER)
                .buckets(vec![
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                    30.0, 60.0,
                ]),
        )?;
        registry.register(Box::new(duration.clone()))?;
        let tasks = IntGauge::new("tokio_alive_tasks", "Concurrent activities in the process")?;
        registry.register(Box::new(tasks.clone()))?;
        let metrics = Self {
            requests: counters("request_kf", "Reconciles", &["component", "kind"])?,
            failures: counters(
                "request_kf_failure",
                "Reconciles that failed",
                &["component", "kind", "severity"],
            )?,
            heartbeat: Heartbeat::register(&registry, COMPONENT)?,
            results: counters(
                "controller_runtime_reconcile_total",
                "Reconciles by result",
                &["controller", "result"],
            )?,
            errors: counters(
                "controller_runtime_reconcile_errors_total",
                "Reconciles that failed",
                &controller,
            )?
            .with_label_values(&[CONTROLLER]),
            active: gauges("controller_runtime_active_workers", "Profiles being worked on", &controller)?
                .with_label_values(&[CONTROLLER]),
            depth: gauges("workqueue_depth", "Profiles waiting to be worked on", &["name"])?
                .with_label_values(&[CONTROLLER]),
            retries: counters("workqueue_retries_total", "Profiles to be tried again", &["name"])?
                .with_label_values(&[CONTROLLER]),
            client_requests: ClientRequests::register(&registry)?,
            leading: gauges("leader_election_master_status", "Whether this replica leads", &["name"])?,
            profiles: gauges(
                "profile_controller_profiles",
                "Profiles by readiness and reason",
                &["ready", "reason"],
            )?,
            tasks,
            duration,
            waiting: Mutex::default(),
            registry,
        };
        for result in ["success", "error", "requeue", "requeue_after"] {
            metrics.results.with_label_values(&[CONTROLLER, result]);
        }
        metrics.requests.with_label_values(&[COMPONENT, RECONCILE]);
        Ok(metrics)
    }

    /// A Profile waits to be looked at.
    pub(crate) fn queued(&self, profile: &str) {
        let mut waiting = self.waiting.lock();
        if !waiting.contains(profile) {
            waiting.insert(profile.to_owned());
        }
    }

    /// A Profile is being looked at.
    pub(crate) fn started(&self, profile: &str) {
        self.waiting.lock().remove(profile);
        self.active.inc();
    }

    /// A look at a Profile has ended.
    pub(crate) fn finished(&self, duration: Duration, retry: Option<Retry>) {
        self.active.dec();
        self.duration.observe(duration.as_secs_f64());
        self.requests.with_label_values(&[COMPONENT, RECONCILE]).inc();
        let result = match retry {
            None => "requeue_after",
            Some(_) => "error",
        };
        self.results.with_label_values(&[CONTROLLER, result]).inc();
        if retry.is_some() {
            self.errors.inc();
        }
        if matches!(retry, Some(Retry::WithBackoff | Retry::After(_))) {
            self.retries.inc();
        }
    }

    /// A Profile is not ready, and why.
    pub(crate) fn failed(&self, problem: &Problem) {
        self.failures.with_label_values(&[COMPONENT, problem.reason(), problem.severity()]).inc();
    }

    /// This replica takes part in leader election. One that works alone says nothing about it: an alert tells no leader at all
    /// from no election.
    pub(crate) fn stand(&self) {
        self.leading.with_label_values(&[LEASE]).set(0);
    }

    /// This replica leads.
    pub(crate) fn lead(&self) {
        self.leading.with_label_values(&[LEASE]).set(1);
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub(crate) fn encode(&self, profiles: &Profiles) -> prometheus::Result<String> {
        self.count(profiles);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks.set(i64::try_from(runtime.metrics().num_alive_tasks()).unwrap_or(i64::MAX));
        }
        encode(&self.registry)
    }

    fn count(&self, profiles: &Profiles) {
        // One that was deleted while it waited is never looked at.
        let mut waiting = self.waiting.lock();
        waiting.retain(|name| profiles.get(name).is_some());
        self.depth.set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        drop(waiting);

        self.profiles.reset();
        for profile in profiles.store().state() {
            let ready = profile.status.condition(ProfileCondition::READY);
            let (status, reason) = match ready {
                Some(condition) if condition.is_true() => ("true", condition.reason.as_str()),
                Some(condition) => ("false", condition.reason.as_str()),
                None => ("false", "Pending"),
            };
            self.profiles.with_label_values(&[status, reason]).inc();
        }
    }
}
