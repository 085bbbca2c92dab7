//! What happens to calls on their way: they are counted, and may be slow, hang or fail.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::watch;

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which operation, as the cloud names it.
    pub name: String,
    /// On what: a role, a service account.
    pub subject: String,
}

/// What is to happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not carried out and not answered, until the weather clears.
    HangBefore,
    /// It is carried out and not answered, until the weather clears.
    HangAfter,
    /// Refused: too many requests.
    Throttled,
    /// Refused: no permission.
    Denied,
    /// Refused: the service is in trouble.
    Unavailable,
    /// Refused: somebody else was faster.
    Conflict,
    /// Refused: too large.
    TooLarge,
}

/// The weather in front of a cloud.
#[derive(Clone)]
pub struct Weather(Arc<State>);

struct State {
    calls: Mutex<Vec<Call>>,
    rules: Mutex<Vec<Rule>>,
    delay: Mutex<Duration>,
    hanging: watch::Sender<Vec<Call>>,
    cleared: watch::Sender<u64>,
}

struct Rule {
    name: String,
    subject: String,
    fate: Fate,
    left: usize,
}

impl Weather {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            calls: Mutex::default(),
            rules: Mutex::default(),
            delay: Mutex::default(),
            hanging: watch::Sender::new(Vec::new()),
            cleared: watch::Sender::new(0),
        }))
    }

    /// Makes every call take so long.
    pub fn delay(&self, delay: Duration) {
        *self.0.delay.lock() = delay;
    }

    /// Decides over the next calls of a name (all, if it is empty) on subjects that begin so.
    pub fn brew(&self, times: usize, name: &str, subject: &str, fate: Fate) {
        let rule = Rule { name: name.to_owned(), subject: subject.to_owned(), fate, left: times };
        self.0.rules.lock().push(rule);
    }

    /// Ends what was brewed for subjects that begin so; what hangs goes on.
    pub fn clear(&self, subject: &str) {
        self.0.rules.lock().retain(|rule| !rule.subject.starts_with(subject));
        self.0.cleared.send_modify(|count| *count += 1);
    }

    /// The calls so far on subjects that begin so, those that were refused included.
    pub fn calls(&self, subject: &str) -> Vec<Call> {
        self.0.calls.lock().iter().filter(|call| call.subject.starts_with(subject)).cloned().collect()
    }

    /// How many calls hang, on subjects that begin so.
    pub fn hanging(&self, subject: &str) -> usize {
        self.0.hanging.borrow().iter().filter(|call| call.subject.starts_with(subject)).count()
    }

    /// Counts a call and lets it wait; what is to happen to it.
    pub(crate) async fn meet(&self, name: &str, subject: &str) -> Option<Fate> {
        let call = Call { name: name.to_owned(), subject: subject.to_owned() };
        self.0.calls.lock().push(call.clone());
        let delay = *self.0.delay.lock();
        tokio::time::sleep(delay).await;
        let fate = self.next(&call);
        if fate == Some(Fate::HangBefore) {
            self.hang(&call).await;
            return None;
        }
        fate
    }

    /// Lets a call that was carried out hang.
    pub(crate) async fn hang_after(&self, name: &str, subject: &str) {
        self.hang(&Call { name: name.to_owned(), subject: subject.to_owned() }).await;
    }

    fn next(&self, call: &Call) -> Option<Fate> {
        let mut rules = self.0.rules.lock();
        let rule = rules.iter_mut().find(|rule| {
            rule.left > 0
                && (rule.name.is_empty() || rule.name == call.name)
                && call.subject.starts_with(&rule.subject)
        })?;
        rule.left -= 1;
        Some(rule.fate)
    }

    async fn hang(&self, call: &Call) {
        let mut cleared = self.0.cleared.subscribe();
        let _guard = Hanging::new(&self.0.hanging, call);
        // Fails only if the weather is gone.
        let _ = cleared.changed().await;
    }
}

/// Counted as hanging until it is dropped, also because the caller has gone.
struct Hanging<'a> {
    hanging: &'a watch::Sender<Vec<Call>>,
    call: Call,
}

impl<'a> Hanging<'a> {
    fn new(hanging: &'a watch::Sender<Vec<Call>>, call: &Call) -> Self {
        hanging.send_modify(|calls| calls.push(call.clone()));
        Self { hanging, call: call.clone() }
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.hanging.send_modify(|calls| {
            if let Some(index) = calls.iter().position(|call| *call == self.call) {
                calls.remove(index);
            }
        });
    }
}
