//! The queue of Profiles to look at.

use std::sync::OnceLock;

use futures::{Stream, StreamExt, channel::mpsc};
use kube::runtime::reflector::ObjectRef;

use crate::profile::ReadProfile;

/// Until it is opened, by the replica that leads, nothing is queued: opening starts with
/// every Profile there is.
#[derive(Default)]
pub(crate) struct Queue {
    sender: OnceLock<mpsc::UnboundedSender<String>>,
}

impl Queue {
    /// Queues Profiles, by name.
    pub(crate) fn push(&self, profiles: impl IntoIterator<Item = String>) {
        if let Some(sender) = self.sender.get() {
            for profile in profiles {
                // Fails only while shutting down.
                let _ = sender.unbounded_send(profile);
            }
        }
    }

    /// Opens the queue; what comes out of it. The second call gives nothing.
    pub(crate) fn open(&self) -> impl Stream<Item = ObjectRef<ReadProfile>> + Send + use<> {
        let (sender, receiver) = mpsc::unbounded();
        // Refused only on a second call; then `sender` is dropped and the stream is empty.
        let _ = self.sender.set(sender);
        receiver.map(|name| ObjectRef::new(&name))
    }
}
