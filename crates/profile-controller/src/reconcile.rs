//! The steps from a Profile to its objects.

use std::sync::Arc;

use futures::{FutureExt, future::join_all};
use kube::{ResourceExt, runtime::controller::Action};
use profile_api::ProfileSpec;
use profile_render::{
    ObjectKey, Observed, PlatformConfig, Rendered, ValidProfile, mesh::BrowserAccess, render, validate,
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    apply::{self, Written},
    backoff::{Retry, jittered},
    context::Context,
    finalizer::{add_finalizer, drop_unneeded_finalizer},
    hands::Hands,
    namespace::{Claimed, claim_namespace, complete_takeover},
    outside::{Outside, look_at_grants},
    problem::{ObjectProblem, Problem},
    profile::ReadProfile,
};

/// How a reconcile went.
pub(crate) struct Outcome {
    /// The writes that were made, however it ended.
    pub(crate) writes: Vec<Written>,
    /// How the owner gets in, as far as the Profile could be rendered.
    pub(crate) browser_access: Option<BrowserAccess>,
    /// What its plugins grant outside the cluster.
    pub(crate) outside: Outside,
    /// Why the Profile is not ready, if it is not.
    pub(crate) problem: Option<Problem>,
}

/// Looks at one Profile and makes the cluster match it. It never fails: what goes wrong is reported in the status, counted,
/// and tried again.
pub(crate) async fn reconcile(profile: Arc<ReadProfile>, context: Arc<Context>) -> Action {
    let name = profile.name_any();
    context.metrics.started(&name);
    let started = Instant::now();
    // As a task of its own, one that breaks off takes no other with it.
    let task = tokio::spawn(look_at(profile, context.clone()).in_current_span());
    let retry = task.await.unwrap_or_else(|error| {
        tracing::error!(profile = name, "reconcile broke off: {error}");
        context.metrics.failed(&Problem::Internal(error.to_string()));
        Some(Retry::WithBackoff)
    });
    context.metrics.finished(started.elapsed(), retry);
    match retry {
        None | Some(Retry::OnChange) => {
            context.backoff.reset(&name);
            Action::requeue(jittered(context.resync_period))
        }
        Some(Retry::WithBackoff) => Action::requeue(context.backoff.next(&name)),
        Some(Retry::After(delay)) => Action::requeue(delay.max(context.backoff.next(&name))),
    }
}

/// `None` when all is well.
async fn look_at(profile: Arc<ReadProfile>, context: Arc<Context>) -> Option<Retry> {
    // The store may know more than what the queue was given, such as our own latest write.
    let profile = context.profiles.get(&profile.name_any()).unwrap_or(profile);
    if profile.is_terminating() {
        return context.release(&profile).await;
    }
    let outcome = match &profile.spec {
        Ok(spec) => settle(&profile, spec, context.as_ref()).await,
        Err(error) => Outcome::failed(Problem::Undecodable(error.clone())),
    };
    let unreported = context.report(&profile, &outcome).await.err();
    if let Some(problem) = outcome.problem.as_ref().filter(|problem| !problem.is_pending()) {
        context.metrics.failed(problem);
    }
    let mut retries = vec![outcome.problem.as_ref().map(Problem::retry), unreported];
    if let (Some(decision), None) = (&outcome.outside.decision, unreported) {
        retries.push(context.follow(&profile, &outcome.outside, decision).await);
    }
    retries.into_iter().flatten().reduce(Retry::sooner)
}

/// Makes everything what a Profile that can be read asks for.
pub(crate) async fn settle(profile: &ReadProfile, spec: &ProfileSpec, hands: &impl Hands) -> Outcome {
    let config = hands.config();
    let valid = match validate(&profile.metadata, spec, &config) {
        Ok(valid) => valid,
        Err(refusal) => return Outcome::failed(refusal.into()),
    };
    let plan = hands.registry().plan(valid.name(), &spec.plugins);
    let rendered = render(&valid, &config).annotate_editor(plan.annotations.clone());
    let mut outside = Outside { plan, decision: None };
    let mut writes = Vec::new();
    let settled =
        settle_rendered(profile, &valid, &rendered, &config, hands, &mut writes, &mut outside).await;
    let problem = settled.err().or_else(|| outside.problem(hands.registry()).map(Problem::Plugins));
    Outcome { writes, browser_access: Some(rendered.browser_access), outside, problem }
}

/// First the namespace, then what is in it, then what shows that all of it was dealt with.
async fn settle_rendered(
    profile: &ReadProfile,
    valid: &ValidProfile,
    rendered: &Rendered,
    config: &PlatformConfig,
    hands: &impl Hands,
    writes: &mut Vec<Written>,
    outside: &mut Outside,
) -> Result<(), Problem> {
    let known = hands.known(valid.name());
    let namespace = find(&known, &ObjectKey::namespace(valid.name()));
    let claimed = claim_namespace(hands, valid, rendered, namespace, config).await?;
    let unlabelled = may_be_unlabelled(profile, rendered, &claimed);
    writes.extend(claimed.writes);
    // Nothing is granted to a namespace that is somebody else's.
    let decision = look_at_grants(hands, profile, &outside.plan);
    if !decision.records.is_empty() {
        add_finalizer(hands, profile).await?;
    }
    outside.decision = Some(decision);

    let problems = match read_unknown(hands, unlabelled, known).await {
        Ok(known) => settle_objects(hands, rendered, &known, valid.uid(), writes).await,
        Err(problem) => vec![problem],
    };
    worst(problems).map_or(Ok(()), Err)?;

    if let Some(namespace) = claimed.taken_over {
        writes.extend(complete_takeover(hands, valid, rendered, namespace, config).await?);
    }
    Ok(drop_unneeded_finalizer(hands, profile, outside).await?)
}

/// The objects that may be there without our label, so that the store does not know them: in a namespace that is taken over
/// all of them; else, when the Profile has changed, those that must not be there. One that should be there and is not known
/// is created, which tells if there is one.
fn may_be_unlabelled(profile: &ReadProfile, rendered: &Rendered, claimed: &Claimed) -> Vec<ObjectKey> {
    if claimed.taken_over.is_some() {
        let wanted = rendered.manifests().into_iter().map(|manifest| manifest.key);
        wanted.chain(rendered.absent.clone()).collect()
    } else if profile.has_changed() && !claimed.is_new() {
        rendered.absent.clone()
    } else {
        Vec::new()
    }
}

impl Outcome {
    /// For a Profile that is being deleted and waits for what it has outside the cluster.
    pub(crate) fn of_deletion(outside: Outside, problem: Option<Problem>) -> Self {
        Self { writes: Vec::new(), browser_access: None, outside, problem }
    }

    /// For a Profile of which nothing can be made.
    pub(crate) fn failed(problem: Problem) -> Self {
        Self { writes: Vec::new(), browser_access: None, outside: Outside::default(), problem: Some(problem) }
    }
}

/// What is known, with what the API server has of the given objects beside.
async fn read_unknown(
    hands: &impl Hands,
    keys: Vec<ObjectKey>,
    known: Vec<Arc<Observed>>,
) -> Result<Vec<Arc<Observed>>, ObjectProblem> {
    let unknown = keys.into_iter().filter(|key| find(&known, key).is_none() && hands.is_served(key.kind));
    let read = join_all(unknown.map(|key| async move { hands.read(&key).await })).await;
    let read = read.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    Ok(known.into_iter().chain(read.into_iter().map(Arc::new)).collect())
}

/// Makes the objects in the namespace what they should be, side by side. One that fails harms no other.
async fn settle_objects(
    hands: &impl Hands,
    rendered: &Rendered,
    known: &[Arc<Observed>],
    profile_uid: &str,
    writes: &mut Vec<Written>,
) -> Vec<ObjectProblem> {
    let manifests = rendered.manifests();
    let settled =
        manifests.iter().map(|manifest| apply::settle(hands, manifest, find(known, &manifest.key)).boxed());
    let removed = rendered.absent.iter().map(|key| {
        let observed = find(known, key);
        async move { apply::remove(hands, key, observed.as_deref(), profile_uid).await }.boxed()
    });
    let results = join_all(settled.chain(removed)).await;
    let mut problems = Vec::new();
    for result in results {
        match result {
            Ok(made) => writes.extend(made),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

fn find(objects: &[Arc<Observed>], key: &ObjectKey) -> Option<Arc<Observed>> {
    objects.iter().find(|object| object.key == *key).cloned()
}

fn worst(problems: Vec<ObjectProblem>) -> Option<Problem> {
    let terminating = problems.iter().find_map(|problem| match problem {
        ObjectProblem::Api(error) if error.is_namespace_terminating() => Some(error.key.profile.clone()),
        _ => None,
    });
    terminating
        .map(Problem::NamespaceTerminating)
        .or_else(|| (!problems.is_empty()).then_some(Problem::Objects(problems)))
}
