//! Changes trust policies in IAM, which knows no conditional writes and shows a change only after a while.
//!
//! Of several changes to one role, the controller has us make one at a time. Each is made on top of those that were made just
//! before, whether IAM shows them by now or not, and where there were such, it is read back until it shows.

use std::time::Duration;

use profile_plugin::{Cause, PluginError};

use crate::{
    Grant, Json, RoleArn,
    iam::Iam,
    policy::{self, Identity, NoStatements},
    recent::{Recent, Role},
};

/// How often a change that does not show is written again.
const ATTEMPTS: usize = 3;
/// After how long it is looked for.
const LOOKS: [Duration; 5] = [
    Duration::from_millis(0),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// What is done with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Grant,
    Revoke,
}

/// The trust policies of roles.
#[derive(Default)]
pub(crate) struct TrustPolicies {
    iam: Iam,
    recent: Recent,
}

impl TrustPolicies {
    /// The only OIDC provider that a role's trust policy names.
    ///
    /// # Errors
    /// There is none, or several.
    pub(crate) async fn only_provider(&self, role: &RoleArn) -> Result<String, PluginError> {
        let policy = self.iam.trust_policy(role).await?;
        let providers = policy::providers(&policy);
        let what = match providers.as_slice() {
            [one] => return Ok((*one).to_owned()),
            [] => "names no OIDC provider".to_owned(),
            several => format!("names several OIDC providers ({})", several.join(", ")),
        };
        let message = format!(
            "the trust policy of {role} {what}, and it cannot be told which is that of this cluster: \
             start the controller with --eks-oidc-issuer"
        );
        Err(PluginError::new(Cause::Refused, message))
    }

    /// Makes a change, or sees that it has been made.
    pub(crate) async fn make(&self, grant: &Grant, change: Change) -> Result<(), PluginError> {
        for _ in 0..ATTEMPTS {
            let shown = match (self.iam.trust_policy(&grant.role).await, change) {
                (Err(error), Change::Revoke) if error.cause == Cause::NotFound => return Ok(()),
                (shown, _) => shown?,
            };
            let recent = self.recent.of(&grant.role);
            let wanted = with_changes(&shown, &recent, grant, change)?;
            let is_latest = recent.written().is_none_or(|written| *written == shown);
            if wanted == shown && is_latest {
                return Ok(());
            }
            self.write(grant, change, &wanted).await?;
            let is_alone = recent.changes().all(|(other, _)| other == grant);
            if is_alone && is_latest || self.shows(&recent, grant, change).await? {
                return Ok(());
            }
        }
        let message = format!(
            "the trust policy of {} was written {ATTEMPTS} times and does not show the change: \
             somebody else is writing it at the same time",
            grant.role
        );
        Err(PluginError::new(Cause::Conflict, message))
    }

    async fn write(&self, grant: &Grant, change: Change, wanted: &Json) -> Result<(), PluginError> {
        // Before the request, which may be carried out although no answer comes.
        self.recent.remember(grant, change);
        let written = self.iam.set_trust_policy(&grant.role, &wanted.to_string()).await;
        match &written {
            Ok(()) => self.recent.remember_policy(&grant.role, wanted.clone()),
            Err(error) if !error.cause.is_transient() => self.recent.forget(grant),
            Err(_) => {}
        }
        match written {
            // The role has gone in the meantime, and everything with it.
            Err(error) if error.cause == Cause::NotFound && change == Change::Revoke => Ok(()),
            written => written,
        }
    }

    /// Whether IAM comes to show a change, and those that were made just before.
    async fn shows(&self, recent: &Role, grant: &Grant, change: Change) -> Result<bool, PluginError> {
        for after in LOOKS {
            tokio::time::sleep(after).await;
            let shown = self.iam.trust_policy(&grant.role).await?;
            if with_changes(&shown, recent, grant, change)? == shown {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A policy with the changes that were made just now, and one more.
fn with_changes(shown: &Json, recent: &Role, grant: &Grant, change: Change) -> Result<Json, PluginError> {
    let mut policy = shown.clone();
    let earlier = recent.changes().filter(|(other, _)| *other != grant);
    for (grant, change) in earlier.chain([(grant, change)]) {
        let identity = Identity { provider: &grant.provider, subject: &grant.subject };
        match change {
            Change::Grant => policy::grant(&mut policy, &identity),
            Change::Revoke => policy::revoke(&mut policy, &identity),
        }
        .map_err(|NoStatements| {
            let message = format!("the trust policy of {} {NoStatements}", grant.role);
            PluginError::new(Cause::Refused, message)
        })?;
    }
    Ok(policy)
}
