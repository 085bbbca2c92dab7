//! Makes sure of a Profile's namespace: created if there is none, taken over only if `profile_render::ownership` says so.

use std::sync::Arc;

use profile_api::names::PROFILE_LABEL;
use profile_render::{
    Manifest, NamespaceLabels, ObjectKey, Observed, PlatformConfig, Rendered, ValidProfile,
    ownership::{self, Ownership},
    plan::{self, Change},
};

use crate::{
    apply::{Written, written},
    hands::Hands,
    problem::{ObjectProblem, Problem},
};

/// How many steps it may take, with somebody else changing the namespace at the same time, before giving up for now.
const STEPS: usize = 6;

/// A namespace that is the Profile's.
pub(crate) struct Claimed {
    /// The writes that it took.
    pub(crate) writes: Vec<Written>,
    /// The namespace, if it does not carry our label yet: it was not ours until now, or was left by the Go controller. Its
    /// objects are not in the store then. [`complete_takeover`] sets the label when they have been dealt with, so
    /// that a takeover that is broken off starts again.
    pub(crate) taken_over: Option<Arc<Observed>>,
}

impl Claimed {
    /// Whether it was created just now, so that there is nothing in it.
    pub(crate) fn is_new(&self) -> bool {
        self.writes.iter().any(|written| written.change == Change::Create)
    }
}

/// Makes sure that the namespace of a Profile is there and the Profile's.
pub(crate) async fn claim_namespace(
    hands: &impl Hands,
    profile: &ValidProfile,
    rendered: &Rendered,
    known: Option<Arc<Observed>>,
    config: &PlatformConfig,
) -> Result<Claimed, Problem> {
    let namespace = match known {
        Some(namespace) => Some(namespace),
        None => read_namespace(hands, profile).await?,
    };
    drive_namespace(hands, profile, rendered, namespace, config, false).await
}

/// Sets the label that completes a takeover, with everything else that the namespace should have.
pub(crate) async fn complete_takeover(
    hands: &impl Hands,
    profile: &ValidProfile,
    rendered: &Rendered,
    namespace: Arc<Observed>,
    config: &PlatformConfig,
) -> Result<Vec<Written>, Problem> {
    drive_namespace(hands, profile, rendered, Some(namespace), config, true)
        .await
        .map(|claimed| claimed.writes)
}

/// Takes one step after the other until there is nothing left to do. Whose namespace it is is decided anew before each
/// step, and each step holds only for the very state it was decided on, so that losing a race is never a takeover.
async fn drive_namespace(
    hands: &impl Hands,
    profile: &ValidProfile,
    rendered: &Rendered,
    mut namespace: Option<Arc<Observed>>,
    config: &PlatformConfig,
    complete: bool,
) -> Result<Claimed, Problem> {
    let mut writes = Vec::new();
    for _ in 0..STEPS {
        let desired = match ownership::decide(profile, namespace.as_deref(), |uid| hands.is_live(uid)) {
            Ownership::Ours if !complete && !is_labelled(namespace.as_deref(), profile) => {
                return Ok(Claimed { writes, taken_over: namespace });
            }
            Ownership::Absent | Ownership::Ours => {
                rendered.namespace_manifest(namespace.as_deref(), &config.namespace_labels)
            }
            Ownership::Adoptable(_) => adoption(rendered),
            Ownership::Terminating => {
                return Err(Problem::NamespaceTerminating(profile.name().to_owned()));
            }
            Ownership::Foreign(reason) => {
                let (name, owner) = (profile.name().to_owned(), profile.owner().name().to_owned());
                return Err(Problem::NotOwned { name, owner, reason });
            }
        };
        let Some(change) =
            plan::plan(&desired, namespace.as_deref()).map_err(|obstacle| objects(obstacle.into()))?
        else {
            return Ok(Claimed { writes, taken_over: None });
        };
        namespace = match hands.make(&desired, &change).await {
            Ok(namespace) => {
                writes.push(written(&desired.key, change));
                namespace
            }
            Err(error) if error.is_outdated() => read_namespace(hands, profile).await?,
            Err(error) => return Err(Problem::Namespace(error)),
        };
    }
    Err(objects(ObjectProblem::Contended(ObjectKey::namespace(profile.name()))))
}

async fn read_namespace(
    hands: &impl Hands,
    profile: &ValidProfile,
) -> Result<Option<Arc<Observed>>, Problem> {
    let namespace = hands.read(&ObjectKey::namespace(profile.name())).await.map_err(Problem::Namespace)?;
    Ok(namespace.map(Arc::new))
}

fn is_labelled(namespace: Option<&Observed>, profile: &ValidProfile) -> bool {
    let label = namespace.and_then(|namespace| namespace.labels.get(PROFILE_LABEL));
    label.is_some_and(|name| name == profile.name())
}

/// What makes the Profile the owner, and nothing else: first of all, or garbage collection may delete a namespace whose
/// owner reference is stale.
fn adoption(rendered: &Rendered) -> Manifest {
    let mut manifest = rendered.namespace_manifest(None, &NamespaceLabels::default());
    manifest.labels.clear();
    manifest.annotations.retain(|key, _| key == profile_api::names::OWNER_ANNOTATION);
    manifest
}

fn objects(problem: ObjectProblem) -> Problem {
    Problem::Objects(vec![problem])
}
