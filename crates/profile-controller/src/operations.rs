//! Carries out what plugins do outside the cluster, apart from reconciles: a slow or dead cloud holds up no Profile but those
//! that use it.
//!
//! Each operation is a task of its own. Its result is kept until a reconcile has taken it into the status; if it is lost,
//! because the process ends, the operation is done again, which does no harm.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::FutureExt;
use kube::ResourceExt;
use parking_lot::Mutex;
use profile_plugin::{Cause, PluginError, Registry};
use serde_json::{Map, Value};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

use crate::{backoff::jittered, context::Context, profile::ReadProfile};

/// How long one operation may take before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many operations of one plugin run at a time.
const CONCURRENT: usize = 16;
/// The first and the longest time until an operation that failed is tried again, if it may go well by itself.
const TRANSIENT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];
/// The same if somebody has to mend something first, of which we are not told: a permission, say.
const LASTING: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(600)];

/// What a plugin has to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) kind: String,
    pub(crate) verb: Verb,
    /// The request to resolve, or the grant.
    pub(crate) subject: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Resolve,
    Apply,
    Revoke,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// Not begun.
    New,
    /// At work; with why it failed the last time, if it did.
    Running(Option<PluginError>),
    /// It went well; with the grant, if that was to be resolved.
    Done(Map<String, Value>),
    /// It failed; whether it is time to try again.
    Failed { error: PluginError, due: bool },
}

/// All operations of all Profiles.
pub(crate) struct Operations {
    pub(crate) registry: Registry,
    /// By the UID of the Profile.
    entries: Mutex<HashMap<String, HashMap<Key, Entry>>>,
    /// By the kind of the plugin and what its grants change.
    places: Mutex<HashMap<(String, String), Weak<Turn>>>,
    permits: HashMap<&'static str, Arc<Semaphore>>,
}

/// Held by the one operation that is at work in a place.
type Turn = tokio::sync::Mutex<()>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: String,
    verb: Verb,
    subject: String,
}

struct Entry {
    state: State,
    failures: u32,
}

enum State {
    Running { last: Option<PluginError> },
    Done(Map<String, Value>),
    Failed { error: PluginError, due: Instant, generation: Option<i64> },
}

impl Operations {
    pub(crate) fn new(registry: Registry) -> Self {
        let permits = registry.kinds().map(|kind| (kind, Arc::new(Semaphore::new(CONCURRENT)))).collect();
        Self { registry, entries: Mutex::default(), places: Mutex::default(), permits }
    }

    /// How far an operation for a Profile is. One that failed is due at once when the Profile has changed since.
    pub(crate) fn progress(&self, profile: &ReadProfile, operation: &Operation) -> Progress {
        let entries = self.entries.lock();
        let entry = entries.get(&uid(profile)).and_then(|entries| entries.get(&operation.key()));
        match entry.map(|entry| &entry.state) {
            None => Progress::New,
            Some(State::Running { last }) => Progress::Running(last.clone()),
            Some(State::Done(result)) => Progress::Done(result.clone()),
            Some(State::Failed { error, due, generation }) => Progress::Failed {
                error: error.clone(),
                due: *due <= Instant::now() || *generation != profile.metadata.generation,
            },
        }
    }

    /// Forgets the operations of a Profile that are not among the given ones, unless they run.
    pub(crate) fn keep_only(&self, profile: &ReadProfile, operations: &[Operation]) {
        let keys: HashSet<Key> = operations.iter().map(Operation::key).collect();
        let mut all = self.entries.lock();
        if let Some(entries) = all.get_mut(&uid(profile)) {
            entries.retain(|key, entry| keys.contains(key) || matches!(entry.state, State::Running { .. }));
            if entries.is_empty() {
                all.remove(&uid(profile));
            }
        }
    }

    /// Forgets everything about a Profile that is gone.
    pub(crate) fn forget(&self, profile: &ReadProfile) {
        self.entries.lock().remove(&uid(profile));
    }

    /// Resolves a request if that can be done at once, so that no task and no second look at the Profile is needed.
    pub(crate) fn resolve_now(&self, profile: &ReadProfile, operation: &Operation) -> Progress {
        if self.progress(profile, operation) == Progress::New && self.begin(profile, operation) {
            match self.carry_out(operation).now_or_never() {
                Some(result) => {
                    self.finished(profile, operation, result);
                }
                None => self.withdraw(profile, operation),
            }
        }
        self.progress(profile, operation)
    }

    /// Takes back that an operation runs.
    fn withdraw(&self, profile: &ReadProfile, operation: &Operation) {
        if let Some(entries) = self.entries.lock().get_mut(&uid(profile)) {
            entries.remove(&operation.key());
        }
    }

    /// Notes that an operation runs; `false` if it does already.
    fn begin(&self, profile: &ReadProfile, operation: &Operation) -> bool {
        let mut all = self.entries.lock();
        let entry = all.entry(uid(profile)).or_default().entry(operation.key());
        let entry = entry.or_insert(Entry { state: State::Done(Map::new()), failures: 0 });
        let last = match &entry.state {
            State::Running { .. } => return false,
            State::Failed { error, .. } => Some(error.clone()),
            State::Done(_) => None,
        };
        entry.state = State::Running { last };
        true
    }

    /// Notes how an operation went; when to try again, if it failed.
    fn finished(
        &self,
        profile: &ReadProfile,
        operation: &Operation,
        result: Result<Map<String, Value>, PluginError>,
    ) -> Option<Instant> {
        let mut all = self.entries.lock();
        // Forgotten, if the Profile is gone.
        let entry = all.get_mut(&uid(profile))?.get_mut(&operation.key())?;
        match result {
            Ok(result) => {
                entry.failures = 0;
                entry.state = State::Done(result);
                None
            }
            Err(error) => {
                let due = Instant::now() + delay(error.cause, entry.failures);
                entry.failures += 1;
                entry.state = State::Failed { error, due, generation: profile.metadata.generation };
                Some(due)
            }
        }
    }

    /// One at a time in one place, few at a time of one plugin, and not longer than bounded.
    async fn take_turn(&self, operation: &Operation) -> Result<Map<String, Value>, PluginError> {
        let Some(plugin) = self.registry.get(&operation.kind) else {
            return Err(no_such_plugin(&operation.kind));
        };
        let place = match operation.verb {
            Verb::Resolve => None,
            Verb::Apply | Verb::Revoke => Some(self.place(plugin.kind(), &plugin.place(&operation.subject))),
        };
        let _alone = match &place {
            Some(place) => Some(place.lock().await),
            None => None,
        };
        let permits = self.permits.get(plugin.kind()).cloned();
        let permits = permits.unwrap_or_else(|| Arc::new(Semaphore::new(1)));
        // Fails only if it were closed, which nobody does.
        let _permit = permits.acquire().await;
        match timeout(TIMEOUT, AssertUnwindSafe(self.carry_out(operation)).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                let message = format!("plugin {} broke off; see the controller's log", operation.kind);
                Err(PluginError::new(Cause::Refused, message))
            }
            Err(_) => {
                let message = format!("no answer within {} s", TIMEOUT.as_secs());
                Err(PluginError::new(Cause::Unavailable, message))
            }
        }
    }

    async fn carry_out(&self, operation: &Operation) -> Result<Map<String, Value>, PluginError> {
        let Some(plugin) = self.registry.get(&operation.kind) else {
            return Err(no_such_plugin(&operation.kind));
        };
        match operation.verb {
            Verb::Resolve => plugin.resolve(&operation.subject).await,
            Verb::Apply => plugin.apply(&operation.subject).await.map(|()| Map::new()),
            Verb::Revoke => plugin.revoke(&operation.subject).await.map(|()| Map::new()),
        }
    }

    fn place(&self, kind: &str, place: &str) -> Arc<Turn> {
        let mut places = self.places.lock();
        places.retain(|_, lock| lock.strong_count() > 0);
        let lock = places.entry((kind.to_owned(), place.to_owned())).or_default();
        lock.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Turn::new(()));
            *lock = Arc::downgrade(&new);
            new
        })
    }
}

impl Context {
    /// Starts operations for a Profile. When one is over, and when one that failed is to be tried again, the Profile is looked
    /// at again.
    pub(crate) fn start(self: &Arc<Self>, profile: &Arc<ReadProfile>, operations: Vec<Operation>) {
        for operation in operations {
            if self.operations.begin(profile, &operation) {
                tokio::spawn(self.clone().operate(profile.clone(), operation));
            }
        }
    }

    async fn operate(self: Arc<Self>, profile: Arc<ReadProfile>, operation: Operation) {
        let name = profile.name_any();
        debug!(profile = name, "{operation}");
        let result = self.operations.take_turn(&operation).await;
        match &result {
            Ok(_) if operation.verb != Verb::Resolve => {
                info!(profile = name, "{operation}: {}", operation.describe(&self.operations.registry));
            }
            Ok(_) => {}
            Err(error) => warn!(profile = name, reason = error.cause.reason(), "{operation}: {error}"),
        }
        let again = self.operations.finished(&profile, &operation, result);
        self.enqueue([name.clone()]);
        if let Some(again) = again {
            tokio::time::sleep_until(again).await;
            self.enqueue([name]);
        }
    }
}

impl Operation {
    pub(crate) fn new(verb: Verb, kind: &str, subject: &Map<String, Value>) -> Self {
        Self { kind: kind.to_owned(), verb, subject: subject.clone() }
    }

    /// What it is about, for people.
    pub(crate) fn describe(&self, registry: &Registry) -> String {
        match (registry.get(&self.kind), self.verb) {
            (Some(plugin), Verb::Apply | Verb::Revoke) => plugin.describe(&self.subject),
            _ => Value::Object(self.subject.clone()).to_string(),
        }
    }

    fn key(&self) -> Key {
        let subject = Value::Object(self.subject.clone()).to_string();
        Key { kind: self.kind.clone(), verb: self.verb, subject }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = match self.verb {
            Verb::Resolve => "prepare a grant of",
            Verb::Apply => "grant",
            Verb::Revoke => "revoke",
        };
        write!(f, "{verb} {}", self.kind)
    }
}

fn uid(profile: &ReadProfile) -> String {
    profile.uid().unwrap_or_default()
}

fn no_such_plugin(kind: &str) -> PluginError {
    PluginError::new(Cause::Refused, format!("this controller has no plugin {kind}"))
}

fn delay(cause: Cause, failures: u32) -> Duration {
    let [first, longest] = if cause.is_transient() { TRANSIENT } else { LASTING };
    let asked = match cause {
        Cause::Throttled { after } => after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let grown = first.saturating_mul(1 << failures.min(16)).min(longest);
    jittered(grown).max(asked)
}
