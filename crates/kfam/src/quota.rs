//! What a quota says, as people read it. Pure: from a ResourceQuota to lines with a bar.

use k8s_openapi::api::core::v1::ResourceQuota;
use profile_api::Quantity;

/// One limit and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Name of the resource, for people.
    pub(crate) label: String,
    /// How much is used.
    pub(crate) used: String,
    /// How much is allowed.
    pub(crate) hard: String,
    /// How much of it that is, from 0 to 100.
    pub(crate) percent: u8,
    /// Tells this line from others of a page.
    pub(crate) id: String,
}

/// The lines of a quota, by resource. Before the quota has been looked at by Kubernetes nothing is used.
pub(crate) fn limits(quota: ResourceQuota, prefix: &str) -> Vec<Limit> {
    let status = quota.status.unwrap_or_default();
    let hard = quota.spec.and_then(|spec| spec.hard).or(status.hard).unwrap_or_default();
    let used = status.used.unwrap_or_default();
    let lines = hard.into_iter().enumerate().map(|(number, (resource, hard))| {
        let used = used.get(&resource).map_or_else(|| "0".to_owned(), |used| used.0.clone());
        let percent = percent(&used, &hard.0);
        Limit {
            label: label(&resource),
            used: shown(&used),
            hard: shown(&hard.0),
            percent,
            id: format!("{prefix}-limit-{number}"),
        }
    });
    lines.collect()
}

/// Rounded up, so that only nothing is 0; anything of a limit of nothing is all of it.
fn percent(used: &str, hard: &str) -> u8 {
    let nanos = |text| Quantity::from(text).nanos().unwrap_or_default().max(0);
    let (used, hard) = (nanos(used), nanos(hard));
    if used == 0 {
        return 0;
    }
    if used >= hard {
        return 100;
    }
    let percent = used.saturating_mul(100).div_euclid(hard).saturating_add(1);
    u8::try_from(percent).unwrap_or(100).min(99)
}

/// Thousandths as people write them: `3500m` is 3.5.
fn shown(quantity: &str) -> String {
    let milli = quantity.strip_suffix('m').and_then(|number| number.parse::<u32>().ok());
    milli.map_or_else(|| quantity.to_owned(), |milli| (f64::from(milli) / 1000.0).to_string())
}

fn label(resource: &str) -> String {
    match resource {
        "cpu" | "requests.cpu" => "CPU".to_owned(),
        "limits.cpu" => "CPU at most".to_owned(),
        "memory" | "requests.memory" => "Memory".to_owned(),
        "limits.memory" => "Memory at most".to_owned(),
        "persistentvolumeclaims" => "Volumes".to_owned(),
        "requests.storage" => "Storage".to_owned(),
        "pods" => "Pods".to_owned(),
        "services" => "Services".to_owned(),
        other => other.strip_prefix("requests.").unwrap_or(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_is_used() {
        for (used, hard, expected) in [
            ("0", "4", 0),
            ("1", "4", 26),
            ("500m", "4", 13),
            ("1m", "1k", 1),
            ("3999m", "4", 99),
            ("4", "4", 100),
            ("5", "4", 100),
            ("1Gi", "4096Mi", 26),
            ("0", "0", 0),
            ("1", "0", 100),
            ("nonsense", "4", 0),
            ("1", "nonsense", 100),
            ("9E", "999999999E", 1),
        ] {
            assert_eq!(percent(used, hard), expected, "{used} of {hard}");
        }
    }

    #[test]
    fn lines_say_what_is_meant_in_words() {
        let quota: ResourceQuota = serde_json::from_value(json!({
            "spec": { "hard": { "cpu": "4", "requests.nvidia.com/gpu": "1", "memory": "4Gi" } },
            "status": { "hard": { "cpu": "4" }, "used": { "cpu": "2500m" } },
        }))
        .unwrap();
        let lines: Vec<String> = limits(quota, "x")
            .into_iter()
            .map(|it| format!("{} {} of {} {}%", it.label, it.used, it.hard, it.percent))
            .collect();
        assert_eq!(lines, ["CPU 2.5 of 4 63%", "Memory 0 of 4Gi 0%", "nvidia.com/gpu 0 of 1 0%"]);
        assert!(limits(ResourceQuota::default(), "x").is_empty());
    }
}
