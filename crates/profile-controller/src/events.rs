//! Kubernetes Events: the part of a Profile's story that its status cannot tell, for `kubectl describe`.

use std::time::Duration;

use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event, EventType, Recorder},
};
use tokio::time::timeout;
use tracing::debug;

use crate::{profile::ReadProfile, request::FIELD_MANAGER};

/// The longest `action` and the longest `note` that the API server takes, in bytes.
const LONGEST_ACTION: usize = 128;
const LONGEST_NOTE: usize = 1024;

/// How long an Event may hold up the Profile that it is about.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Publishes Events about Profiles. One that cannot be published is let go: the status says what matters.
pub(crate) struct Events {
    recorder: Recorder,
}

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        Self { recorder: Recorder::new(client, FIELD_MANAGER.into()) }
    }

    /// Something went as it should.
    pub(crate) async fn normal(&self, profile: &ReadProfile, reason: &str, note: &str) {
        self.publish(EventType::Normal, profile, reason, note).await;
    }

    /// Something needs attention.
    pub(crate) async fn warning(&self, profile: &ReadProfile, reason: &str, note: &str) {
        self.publish(EventType::Warning, profile, reason, note).await;
    }

    async fn publish(&self, type_: EventType, profile: &ReadProfile, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(cut(note, LONGEST_NOTE).to_owned()),
            // Events of one action are counted together under the first one's note.
            action: cut(note, LONGEST_ACTION).to_owned(),
            secondary: None,
        };
        let about = profile.object_ref(&());
        let failure = match timeout(LONGEST_WAIT, self.recorder.publish(&event, &about)).await {
            Ok(published) => published.err().map(|error| error.to_string()),
            Err(elapsed) => Some(elapsed.to_string()),
        };
        if let Some(failure) = failure {
            debug!(profile = profile.name_any(), "could not publish event {reason}: {failure}");
        }
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
