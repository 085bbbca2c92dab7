//! The plugins that a controller knows, whatever their types, and what the plugins of a Profile come to.

use std::sync::Arc;

use async_trait::async_trait;
use profile_api::{Plugin as PluginEntry, names::DEFAULT_EDITOR};
use profile_render::{EditorAnnotations, InvalidField};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Account, Cause, InvalidSpec, Plugin, PluginError, Wanted};

/// The plugins that a controller knows.
#[derive(Clone, Default)]
pub struct Registry {
    plugins: Vec<Arc<dyn AnyPlugin>>,
    defaults: Vec<PluginEntry>,
}

/// What the plugins of a Profile come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Annotations of the ServiceAccount `default-editor`.
    pub annotations: EditorAnnotations,
    /// What to grant outside the cluster: at most one request of each kind.
    pub requests: Vec<Request>,
    /// Plugins whose settings cannot be used. What was granted for them before is left as it is.
    pub invalid: Vec<InvalidPlugin>,
    /// Kinds that no plugin has.
    pub unknown: Vec<String>,
}

/// What a Profile asks a plugin for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Kind of the plugin.
    pub kind: &'static str,
    /// What it is asked for, in its own terms.
    pub request: Map<String, Value>,
}

/// A plugin whose settings cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidPlugin {
    /// Kind of the plugin.
    pub kind: &'static str,
    /// Which field, and what is wrong with it.
    pub field: InvalidField,
}

impl Registry {
    /// A registry without plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin.
    #[must_use]
    pub fn with(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Gives a plugin to every Profile that has none of its kind.
    #[must_use]
    pub fn with_default(mut self, plugin: PluginEntry) -> Self {
        self.defaults.push(plugin);
        self
    }

    /// The plugin of a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn AnyPlugin>> {
        self.plugins.iter().find(|plugin| plugin.kind() == kind || plugin.aliases().contains(&kind))
    }

    /// The kinds of the plugins.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|plugin| plugin.kind())
    }

    /// What the plugins of a Profile come to, those that it has by default included.
    pub fn plan(&self, profile: &str, plugins: &[PluginEntry]) -> Plan {
        let account = Account { namespace: profile.to_owned(), name: DEFAULT_EDITOR.to_owned() };
        let mut plan = Plan::default();
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (index, entry) in plugins.iter().enumerate() {
            let Some(plugin) = self.get(&entry.kind) else {
                plan.unknown.push(entry.kind.clone());
                continue;
            };
            if let Some((_, other)) = seen.iter().find(|(kind, _)| *kind == plugin.kind()) {
                let problem = format!(
                    "{} is of the same kind as {other}: merge their settings into one, or remove one",
                    entry.kind
                );
                let field = InvalidField { field: format!("spec.plugins[{index}].kind"), problem };
                plan.refuse(plugin.kind(), field);
                continue;
            }
            seen.push((plugin.kind(), &entry.kind));
            plan.add(plugin.as_ref(), &account, entry, &format!("spec.plugins[{index}].spec"));
        }
        for entry in &self.defaults {
            if let Some(plugin) = self.get(&entry.kind)
                && !seen.iter().any(|(kind, _)| *kind == plugin.kind())
            {
                plan.add(plugin.as_ref(), &account, entry, "the default spec");
            }
        }
        plan
    }
}

impl Plan {
    /// Whether it has anything to do with plugins that are known.
    pub fn is_empty(&self) -> bool {
        self.annotations.wanted.is_empty() && self.requests.is_empty() && self.invalid.is_empty()
    }

    fn add(&mut self, plugin: &dyn AnyPlugin, account: &Account, entry: &PluginEntry, path: &str) {
        match plugin.plan(account, &entry.spec, path) {
            Ok(wanted) => {
                self.annotations.wanted.extend(wanted.annotations);
                self.requests.extend(wanted.request.map(|request| Request { kind: plugin.kind(), request }));
            }
            Err(field) => self.refuse(plugin.kind(), field),
        }
    }

    /// Of two plugins of one kind it cannot be told which is meant.
    fn refuse(&mut self, kind: &'static str, field: InvalidField) {
        self.requests.retain(|request| request.kind != kind);
        self.annotations.keep_others = true;
        self.invalid.push(InvalidPlugin { kind, field });
    }
}

/// A [`Plugin`] of any type: its settings, requests and grants as JSON.
#[async_trait]
pub trait AnyPlugin: Send + Sync {
    /// As [`Plugin::KIND`].
    fn kind(&self) -> &'static str;
    /// As [`Plugin::ALIASES`].
    fn aliases(&self) -> &'static [&'static str];
    /// As [`Plugin::plan`]; `path` says where the spec is, for errors.
    ///
    /// # Errors
    /// A field cannot be used.
    fn plan(
        &self,
        account: &Account,
        spec: &Map<String, Value>,
        path: &str,
    ) -> Result<Wanted<Map<String, Value>>, InvalidField>;
    /// As [`Plugin::resolve`].
    async fn resolve(&self, request: &Map<String, Value>) -> Result<Map<String, Value>, PluginError>;
    /// As [`Plugin::apply`].
    async fn apply(&self, grant: &Map<String, Value>) -> Result<(), PluginError>;
    /// As [`Plugin::revoke`].
    async fn revoke(&self, grant: &Map<String, Value>) -> Result<(), PluginError>;
    /// As [`Plugin::describe`]. A grant that this version does not understand is given as it is.
    fn describe(&self, grant: &Map<String, Value>) -> String;
    /// As [`Plugin::place`].
    fn place(&self, grant: &Map<String, Value>) -> String;
}

#[async_trait]
impl<P: Plugin> AnyPlugin for P {
    fn kind(&self) -> &'static str {
        P::KIND
    }

    fn aliases(&self) -> &'static [&'static str] {
        P::ALIASES
    }

    fn plan(
        &self,
        account: &Account,
        spec: &Map<String, Value>,
        path: &str,
    ) -> Result<Wanted<Map<String, Value>>, InvalidField> {
        let typed: P::Spec =
            serde_path_to_error::deserialize(Value::Object(spec.clone())).map_err(|error| {
                let below = error.path().to_string();
                let field = if below == "." { path.to_owned() } else { format!("{path}.{below}") };
                InvalidField { field, problem: error.into_inner().to_string() }
            })?;
        let invalid = |InvalidSpec { field, problem }| {
            let field = if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") };
            InvalidField { field, problem }
        };
        let wanted = Plugin::plan(self, account, typed).map_err(invalid)?;
        let request = wanted.request.map(|request| encode::<P>(&request)).transpose();
        let request =
            request.map_err(|error| InvalidField { field: path.to_owned(), problem: error.message })?;
        Ok(Wanted { annotations: wanted.annotations, request })
    }

    async fn resolve(&self, request: &Map<String, Value>) -> Result<Map<String, Value>, PluginError> {
        let grant = Plugin::resolve(self, decode::<P, _>(request)?).await?;
        encode::<P>(&grant)
    }

    async fn apply(&self, grant: &Map<String, Value>) -> Result<(), PluginError> {
        Plugin::apply(self, &decode::<P, P::Grant>(grant)?).await
    }

    async fn revoke(&self, grant: &Map<String, Value>) -> Result<(), PluginError> {
        Plugin::revoke(self, &decode::<P, P::Grant>(grant)?).await
    }

    fn describe(&self, grant: &Map<String, Value>) -> String {
        match decode::<P, P::Grant>(grant) {
            Ok(grant) => Plugin::describe(self, &grant),
            Err(_) => Value::Object(grant.clone()).to_string(),
        }
    }

    fn place(&self, grant: &Map<String, Value>) -> String {
        decode::<P, P::Grant>(grant).map_or_else(|_| String::new(), |grant| Plugin::place(self, &grant))
    }
}

fn encode<P: Plugin>(value: &impl Serialize) -> Result<Map<String, Value>, PluginError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(PluginError::new(
            Cause::Refused,
            format!("mistake in plugin {}: its requests and grants must be JSON objects", P::KIND),
        )),
    }
}

fn decode<P: Plugin, T: DeserializeOwned>(fields: &Map<String, Value>) -> Result<T, PluginError> {
    serde_path_to_error::deserialize(Value::Object(fields.clone())).map_err(|error| {
        let what =
            format!("a record of plugin {} cannot be read, at {}: {}", P::KIND, error.path(), error.inner());
        PluginError::new(Cause::Refused, what)
    })
}
