//! Makes and removes bindings: a RoleBinding and an AuthorizationPolicy of one name, both or none.
//!
//! What there is is looked up in the namespace each time, by annotation and subject: the index may lag behind, and objects that
//! the reference or a person has made may have any name. Half of a binding is completed by the next attempt to make it, and
//! removed by the next attempt to remove it. What this process could not undo it tries again until it can.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use profile_render::{
    PlatformConfig,
    contributor::{contributor_binding, contributor_policy},
};
use profile_runtime::resource_version::ResourceVersion;
use tracing::{info, warn};

use crate::{
    cluster::{Cluster, Created, Deleted, PolicyMeta},
    error::ApiError,
    found::{Found, is_of},
    index::Index,
    locks::Locks,
    observed::is_managed,
    watches::new_binding,
    wire::Sharing,
};

/// How often everything is looked at again when somebody else changes it at the same time.
const ATTEMPTS: usize = 5;
/// How long to wait before what could not be undone is tried again, at first and at most.
const UNDO_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Makes and removes bindings.
pub(crate) struct Sharer {
    cluster: Cluster,
    index: Arc<Index>,
    config: PlatformConfig,
    locks: Locks,
}

/// What came of making a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// It is there, as a whole.
    Whole,
    /// There is no rule by which the mesh could recognise the members of a group.
    WithoutBrowser,
    /// The cluster has no Istio.
    WithoutMesh,
}

/// How one attempt ended.
enum Attempt<T> {
    Done(T),
    /// Somebody else changed what was found.
    LookAgain,
}

impl Sharer {
    pub(crate) fn new(cluster: Cluster, index: Arc<Index>, config: PlatformConfig) -> Self {
        Self { cluster, index, config, locks: Locks::default() }
    }

    /// Gives a subject a role.
    pub(crate) async fn add(self: &Arc<Self>, sharing: &Sharing) -> Result<Shared, ApiError> {
        let _guard = self.hold(sharing).await;
        for _ in 0..ATTEMPTS {
            let found = self.look(&sharing.namespace).await?;
            if let Attempt::Done(shared) = self.try_add(sharing, &found).await? {
                return Ok(shared);
            }
        }
        Err(contended())
    }

    /// Takes a role away from a subject.
    pub(crate) async fn remove(self: &Arc<Self>, sharing: &Sharing) -> Result<(), ApiError> {
        let _guard = self.hold(sharing).await;
        let mut removed = false;
        // The last look makes sure that nobody added half of it in the meantime.
        for _ in 0..ATTEMPTS {
            let found = self.look(&sharing.namespace).await?;
            let bindings = found.bindings_of(sharing);
            let policies = found.policies_of(sharing, &bindings);
            if bindings.is_empty() && policies.is_empty() {
                return if removed { Ok(()) } else { Err(found.nothing_to_remove(sharing)) };
            }
            if let Err(error) = self.try_remove(&sharing.namespace, &bindings, &policies).await {
                if error.status.is_server_error() {
                    bindings.iter().for_each(|it| self.undo_later(sharing.clone(), it.name_any()));
                }
                return Err(error);
            }
            removed = true;
        }
        Err(contended())
    }

    /// One change of a subject's access to a namespace at a time.
    async fn hold(&self, sharing: &Sharing) -> tokio::sync::OwnedMutexGuard<()> {
        let Sharing { subject, namespace, .. } = sharing;
        let home = subject.namespace().unwrap_or_default();
        self.locks.hold(format!("{namespace}/{}/{home}/{}", subject.kind().as_str(), subject.name())).await
    }

    async fn look(&self, namespace: &str) -> Result<Found, ApiError> {
        let (bindings, policies) =
            tokio::try_join!(self.cluster.role_bindings(namespace), self.cluster.policies(namespace))?;
        Ok(Found { bindings, policies })
    }

    async fn try_add(
        self: &Arc<Self>,
        sharing: &Sharing,
        found: &Found,
    ) -> Result<Attempt<Shared>, ApiError> {
        let Sharing { subject, role, namespace } = sharing;
        let existing = found.bindings.iter().find(|binding| is_of(binding, subject, *role));
        if existing.is_some_and(|binding| is_managed(&binding.metadata)) {
            let message = format!("{} owns {namespace} and has the role {role} as its owner", subject.name());
            return Err(ApiError::conflict("AlreadyExists", message));
        }
        let name = match existing {
            Some(binding) => binding.name_any(),
            None => found.free_name(subject, *role),
        };
        let policy = contributor_policy(namespace, &name, subject, *role, &self.config);
        let shared = match (&policy, &found.policies) {
            (_, None) => Shared::WithoutMesh,
            (None, Some(_)) => Shared::WithoutBrowser,
            (Some(_), Some(_)) => Shared::Whole,
        };
        let policy = policy.filter(|_| shared == Shared::Whole && !found.has_policy(&name));
        if existing.is_some() && policy.is_none() {
            let message = format!("{} has the role {role} in {namespace} already", subject.name());
            return Err(ApiError::conflict("AlreadyExists", message));
        }
        let binding = match existing {
            Some(binding) => binding.clone(),
            None => match self.create_binding(sharing, &name, policy.is_some()).await? {
                Some(binding) => binding,
                None => return Ok(Attempt::LookAgain),
            },
        };
        let Some(policy) = policy else {
            return Ok(Attempt::Done(shared));
        };
        let (error, may_follow) = match self.cluster.create_policy(&policy).await {
            Ok(Created::Done(_)) => (None, false),
            Ok(Created::Exists) => return Ok(Attempt::LookAgain),
            Ok(Created::NoNamespace) => (Some(not_ready(namespace)), false),
            Ok(Created::Unknown(error)) => (Some(error), true),
            Err(error) => (Some(error), false),
        };
        if let Some(error) = error {
            if existing.is_none() {
                self.undo(sharing, &name).await;
            }
            if may_follow {
                self.undo_later(sharing.clone(), name);
            }
            return Err(error);
        }
        let uid = binding.uid().unwrap_or_default();
        if self.cluster.has_role_binding(namespace, &name, &uid).await? {
            return Ok(Attempt::Done(shared));
        }
        // Another process removed the binding before it was whole.
        self.cluster.delete_policy(namespace, &name, None).await?;
        Ok(Attempt::LookAgain)
    }

    /// `None` when there is one of that name now. `is_half`: it is not everything that there should be.
    async fn create_binding(
        self: &Arc<Self>,
        sharing: &Sharing,
        name: &str,
        is_half: bool,
    ) -> Result<Option<RoleBinding>, ApiError> {
        let Sharing { subject, role, namespace } = sharing;
        let asked = self.index.moment();
        match self.cluster.create_role_binding(&contributor_binding(namespace, name, subject, *role)).await? {
            Created::Done(binding) => {
                if let Some(new) = new_binding(&binding) {
                    self.index.binding_written(new, asked);
                }
                Ok(Some(binding))
            }
            Created::Exists => Ok(None),
            Created::NoNamespace => Err(not_ready(namespace)),
            Created::Unknown(error) => {
                // If it was created it stands alone; where nothing else belongs to it, it is whole.
                if is_half {
                    self.undo_later(sharing.clone(), name.to_owned());
                }
                Err(error)
            }
        }
    }

    async fn try_remove(
        &self,
        namespace: &str,
        bindings: &[&RoleBinding],
        policies: &[&PolicyMeta],
    ) -> Result<(), ApiError> {
        if let Some(shared) = bindings.iter().find(|it| it.subjects.iter().flatten().count() > 1) {
            let message = format!(
                "RoleBinding {namespace}/{} gives access to others too: take the one out of it with kubectl",
                shared.name_any()
            );
            return Err(ApiError::conflict("SeveralSubjects", message));
        }
        // The RoleBinding last: while it is there the binding is listed, and can be removed again.
        for policy in policies {
            self.cluster.delete_policy(namespace, &policy.name_any(), policy.uid().as_deref()).await?;
        }
        for binding in bindings {
            let name = binding.name_any();
            let deleted =
                self.cluster.delete_role_binding(namespace, &name, binding.uid().as_deref()).await?;
            if deleted == Deleted::Gone {
                let version = ResourceVersion::of(*binding);
                self.index.remove_binding(namespace, &name, version);
            }
        }
        Ok(())
    }

    /// Removes the half of a binding that could not be completed; later, if not now.
    async fn undo(self: &Arc<Self>, sharing: &Sharing, name: &str) {
        if let Err(error) = self.remove_half(sharing, name).await {
            let namespace = &sharing.namespace;
            warn!(namespace, name, "half of a binding is left, trying again: {}", error.message);
            self.undo_later(sharing.clone(), name.to_owned());
        }
    }

    /// Looks in a while whether half of a binding is there, as a request that was not answered may leave it, and removes it.
    fn undo_later(self: &Arc<Self>, sharing: Sharing, name: String) {
        let sharer = self.clone();
        tokio::spawn(async move {
            let (mut delay, longest) = UNDO_AFTER;
            loop {
                tokio::time::sleep(delay).await;
                let _guard = sharer.hold(&sharing).await;
                match sharer.remove_half(&sharing, &name).await {
                    Ok(()) => {
                        info!(namespace = sharing.namespace, name, "no half of a binding is left");
                        return;
                    }
                    Err(error) => {
                        delay = (delay * 2).min(longest);
                        warn!(
                            namespace = sharing.namespace,
                            name, "half of a binding may be left: {}", error.message
                        );
                    }
                }
            }
        });
    }

    /// Removes one of two objects of a name that the other does not go with. What was completed since stays.
    async fn remove_half(&self, sharing: &Sharing, name: &str) -> Result<(), ApiError> {
        let Sharing { subject, role, namespace } = sharing;
        if contributor_policy(namespace, name, subject, *role, &self.config).is_none() {
            // A RoleBinding alone is all that there should be.
            return Ok(());
        }
        let found = self.look(namespace).await?;
        let bindings = found.bindings_of(sharing);
        let policies = found.policies_of(sharing, &bindings);
        let bindings: Vec<_> = bindings.into_iter().filter(|it| it.name_any() == name).collect();
        let policies: Vec<_> = policies.into_iter().filter(|it| it.name_any() == name).collect();
        if found.policies.is_some() && bindings.len() != policies.len() {
            return self.try_remove(namespace, &bindings, &policies).await;
        }
        Ok(())
    }
}

fn not_ready(namespace: &str) -> ApiError {
    let message = format!("namespace {namespace} is not there yet: try again when the Profile is ready");
    ApiError::conflict("NotReady", message)
}

fn contended() -> ApiError {
    ApiError::conflict("Conflict", "somebody else is changing the same access at the same time: try again")
}
