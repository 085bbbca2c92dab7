//! Metrics that every binary has: how many requests it makes to the API server, and a heartbeat.

use std::time::Duration;

use prometheus::{
    Encoder, IntCounter, IntCounterVec, Opts, Registry, TextEncoder, process_collector::ProcessCollector,
};

/// How often the heartbeat beats: a contract with the reference's alerts.
pub const HEARTBEAT_PERIOD: Duration = Duration::from_secs(10);

/// A registry with the metrics of the process (`process_*`).
///
/// # Errors
/// When they cannot be registered.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    Ok(registry)
}

/// Registers a counter with labels.
///
/// # Errors
/// When the name is registered already or malformed.
pub fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

/// All metrics of a registry in the text format of Prometheus.
///
/// # Errors
/// When a metric cannot be encoded.
pub fn encode(registry: &Registry) -> prometheus::Result<String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The requests to the API server, as client-go counts them: `rest_client_requests_total{code,method,host}`.
#[derive(Clone)]
pub struct ClientRequests(IntCounterVec);

impl ClientRequests {
    /// Registers the metric.
    ///
    /// # Errors
    /// When it is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let labels = ["code", "method", "host"];
        counters(registry, "rest_client_requests_total", "Requests to the API server", &labels).map(Self)
    }

    /// Counts a request that was answered (or not: then the code is `<error>`, as client-go has it).
    pub fn count(&self, code: &str, method: &str, host: &str) {
        self.0.with_label_values(&[code, method, host]).inc();
    }
}

/// The reference's sign of life: `service_heartbeat{component,severity="critical"}`, one more every ten seconds.
pub struct Heartbeat(IntCounter);

impl Heartbeat {
    /// Registers the metric for a component.
    ///
    /// # Errors
    /// When it is registered already.
    pub fn register(registry: &Registry, component: &str) -> prometheus::Result<Self> {
        let labels = ["component", "severity"];
        let beats = counters(registry, "service_heartbeat", "Signs of life, one every ten seconds", &labels)?;
        Ok(Self(beats.with_label_values(&[component, "critical"])))
    }

    /// Counts a heartbeat every ten seconds, for ever.
    pub async fn beat(&self) {
        let mut timer = tokio::time::interval(HEARTBEAT_PERIOD);
        loop {
            timer.tick().await;
            self.0.inc();
        }
    }
}
