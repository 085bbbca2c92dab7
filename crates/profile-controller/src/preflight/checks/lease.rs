//! Whether a controller is at work: who holds the Lease that all of them, the Go controller included, take to work.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use crate::{
    lease::{LEASE, is_held},
    preflight::report::Check,
};

pub(super) const NAME: &str = "Lease";

/// One that is held is a note: the Go controller may run until it is replaced.
pub(super) fn check(leases: &[Lease], now: Timestamp) -> Check {
    let held: Vec<String> =
        leases.iter().filter(|lease| is_held(lease)).map(|lease| holder(lease, now)).collect();
    match held.as_slice() {
        [] => {
            let message = format!(
                "nobody holds a Lease {LEASE}: no controller with --leader-elect is at work (one without would not show)"
            );
            Check::ok(NAME, message)
        }
        [one] => Check::note(
            NAME,
            format!("{one}: stop that controller before this one works without --leader-elect"),
        ),
        _ => {
            let message = format!(
                "controllers hold Leases in several namespaces, and so work at the same time: {}; stop all but one",
                held.join("; ")
            );
            Check::failed(NAME, message)
        }
    }
}

fn holder(lease: &Lease, now: Timestamp) -> String {
    let spec = lease.spec.clone().unwrap_or_default();
    let renewed = spec.renew_time.map_or_else(String::new, |time| {
        format!(" and renewed it {} s ago", now.duration_since(time.0).as_secs())
    });
    let holder = spec.holder_identity.unwrap_or_default();
    format!("{holder} holds Lease {}/{LEASE}{renewed}", lease.namespace().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::report::CheckResult;

    fn lease(namespace: &str, holder: &str) -> Lease {
        serde_json::from_value(serde_json::json!({
            "metadata": { "namespace": namespace, "name": LEASE },
            "spec": { "holderIdentity": holder, "renewTime": "2026-01-01T00:00:00.000000Z" },
        }))
        .unwrap()
    }

    #[test]
    fn a_lease_that_is_held_is_worth_knowing_and_two_of_them_are_wrong() {
        let now: Timestamp = "2026-01-01T00:00:07Z".parse().unwrap();
        assert_eq!(check(&[], now).result, CheckResult::Ok);
        assert_eq!(check(&[lease("kubeflow", "")], now).result, CheckResult::Ok, "given back");
        let one = check(&[lease("kubeflow", "go-controller")], now);
        assert_eq!(one.result, CheckResult::Note);
        let told = "go-controller holds Lease kubeflow/kubeflow-profile-controller and renewed it 7 s ago";
        assert!(one.message.contains(told), "{}", one.message);
        let two = check(&[lease("kubeflow", "a"), lease("profiles-system", "b")], now);
        assert_eq!(two.result, CheckResult::Failed);
        assert!(two.message.contains("a holds") && two.message.contains("b holds"), "{}", two.message);
    }
}
