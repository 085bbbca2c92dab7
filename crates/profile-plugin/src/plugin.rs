//! What a plugin has to say and do.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};

use crate::PluginError;

/// The ServiceAccount of a Profile that gets an identity outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its namespace, which has the name of the Profile.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a plugin wants for one Profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted<Request> {
    /// Annotations of the ServiceAccount. They go when the plugin does.
    pub annotations: BTreeMap<String, String>,
    /// What to grant outside the cluster, if anything.
    pub request: Option<Request>,
}

/// A setting that cannot be used although its type is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSpec {
    /// Which field of the plugin's spec.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// One kind of connection to something outside the cluster.
///
/// `plan` is pure. The others do I/O; each may be called again at any time, with the same arguments, and may be dropped at any
/// await point (after a timeout, or because the process was killed): what they did by then must do no harm, and the next call
/// must complete it. They keep to one attempt or a few quick ones; the controller bounds their time and tries again.
#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    /// The kind by which a Profile names it.
    const KIND: &'static str;
    /// Other names of the same kind.
    const ALIASES: &'static [&'static str] = &[];

    /// Its settings in a Profile. Derive `Deserialize` with `deny_unknown_fields`, so that a misspelt field is not ignored.
    type Spec: DeserializeOwned;
    /// What a Profile asks for, as far as that follows from its spec and the plugin's configuration. A grant that was made for
    /// an equal request is not made again. Must serialise to a JSON object.
    type Request: Serialize + DeserializeOwned + Send + Sync;
    /// What is granted: everything that is needed to make and to undo it, whatever the spec says by then. It is kept in the
    /// status of the Profile, so it must hold no secret. Must serialise to a JSON object.
    type Grant: Serialize + DeserializeOwned + Send + Sync;

    /// What a spec means for a ServiceAccount. Pure.
    ///
    /// # Errors
    /// A setting cannot be used.
    fn plan(&self, account: &Account, spec: Self::Spec) -> Result<Wanted<Self::Request>, InvalidSpec>;

    /// Completes a request with what only the environment can tell. Changes nothing.
    ///
    /// # Errors
    /// It cannot be told.
    async fn resolve(&self, request: Self::Request) -> Result<Self::Grant, PluginError>;

    /// Makes a grant. One that is made already is left as it is.
    ///
    /// # Errors
    /// It could not be made, or not be seen to be made.
    async fn apply(&self, grant: &Self::Grant) -> Result<(), PluginError>;

    /// Revokes a grant, and nothing else. One that is not there, or whose place is gone, is revoked.
    ///
    /// # Errors
    /// It could not be revoked, or not be seen to be revoked.
    async fn revoke(&self, grant: &Self::Grant) -> Result<(), PluginError>;

    /// What a grant is, for people: `role … for …`.
    fn describe(&self, grant: &Self::Grant) -> String;

    /// What a grant changes outside the cluster, such as one policy document: of several grants of a plugin in one place, only
    /// one is made or revoked at a time.
    fn place(&self, grant: &Self::Grant) -> String;
}
