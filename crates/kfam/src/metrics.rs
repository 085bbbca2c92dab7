//! Metrics: the reference's under their names, and how long requests take.

use std::time::Duration;

use profile_runtime::metrics::{ClientRequests, Heartbeat, counters, encode, registry};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use crate::{error::Failure, index::Index};

const COMPONENT: &str = "kfam";

/// All metrics.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    failures: IntCounterVec,
    duration: HistogramVec,
    profiles: IntGauge,
    bindings: IntGauge,
    /// Requests to the API server.
    pub client_requests: ClientRequests,
    /// The sign of life.
    pub heartbeat: Heartbeat,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When a name is registered twice or malformed, which would be a mistake in this file.
    pub fn new() -> prometheus::Result<Self> {
        let registry = registry()?;
        // The reference has a label `user` besides, one series for each user; here the audit log tells who.
        let requests =
            counters(&registry, "request_kf", "Requests", &["component", "kind", "action", "path"])?;
        let failures = counters(
            &registry,
            "request_kf_failure",
            "Requests that failed",
            &["component", "kind", "action", "path", "severity"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new("kfam_request_duration_seconds", "How long requests take").buckets(vec![
                0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
                5.0, 10.0, 30.0,
            ]),
            &["method", "path", "code"],
        )?;
        registry.register(Box::new(duration.clone()))?;
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            requests,
            failures,
            duration,
            profiles: gauge("kfam_profiles", "Profiles that are known")?,
            bindings: gauge("kfam_bindings", "Bindings that are known")?,
            client_requests: ClientRequests::register(&registry)?,
            heartbeat: Heartbeat::register(&registry, COMPONENT)?,
            registry,
        })
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        method: &str,
        path: &str,
        code: u16,
        duration: Duration,
        failure: Option<Failure>,
    ) {
        let action = action(method);
        match failure {
            Some(Failure { error, severity }) => {
                self.failures.with_label_values(&[COMPONENT, error, action, path, severity]).inc();
            }
            None => {
                let kind = path.rsplit('/').find(|part| !part.is_empty() && !part.starts_with('{'));
                self.requests.with_label_values(&[COMPONENT, kind.unwrap_or_default(), action, path]).inc();
            }
        }
        let code = code.to_string();
        self.duration.with_label_values(&[method, path, &code]).observe(duration.as_secs_f64());
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn encode(&self, index: &Index) -> prometheus::Result<String> {
        let (profiles, bindings) = index.counts();
        self.profiles.set(i64::try_from(profiles).unwrap_or(i64::MAX));
        self.bindings.set(i64::try_from(bindings).unwrap_or(i64::MAX));
        encode(&self.registry)
    }
}

/// In the words of the reference.
fn action(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "DELETE" => "delete",
        _ => "read",
    }
}
