//! Access through the service mesh. Everything that is specific to Istio is here.

use kube::{CustomResource, core::ObjectMeta};
use profile_api::names::OWNER_POLICY;
use serde::{Deserialize, Serialize};

use crate::{Owner, PlatformConfig, ValidProfile, foresight::FieldChange};

/// The action of a policy that lets in who matches one of its rules.
const ALLOW: &str = "ALLOW";

/// Spec of an Istio AuthorizationPolicy (`security.istio.io/v1`), as far as it is used here: it selects every workload of
/// its namespace. Field meanings: <https://istio.io/latest/docs/reference/config/security/authorization-policy/>.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "security.istio.io",
    version = "v1",
    kind = "AuthorizationPolicy",
    plural = "authorizationpolicies",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicySpec {
    /// What happens to a request that a rule matches: `ALLOW`.
    pub action: String,
    /// The rules; a request has to match one of them.
    pub rules: Vec<Rule>,
}

/// A rule: who may (`from`) do what (`to`) under which conditions (`when`). What is empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Who is calling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<From>,
    /// What is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<To>,
    /// Further conditions; all have to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<When>,
}

/// Who is calling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct From {
    /// The calling workload.
    pub source: Source,
}

/// The calling workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its mesh identity, which is one of these.
    pub principals: Vec<String>,
}

/// What is called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct To {
    /// The HTTP request.
    pub operation: Operation,
}

/// An HTTP request. What is empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its method, which is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Its path, which is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// A condition on an attribute of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct When {
    /// The attribute, such as `request.headers[kubeflow-userid]`.
    pub key: String,
    /// The values of which it has to have one.
    pub values: Vec<String>,
}

/// Whether the owner gets in through the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrowserAccess {
    /// By the userid header that the ingress gateway sets.
    ByUserHeader,
    /// By the groups in the request's JWT.
    ByGroupsClaim,
    /// By the identity of the workload that calls: a ServiceAccount has no browser.
    ByPrincipal,
    /// Not at all: the owner is a group, and the platform does not say which claim lists a user's groups.
    NotForGroups,
}

/// How the owner of a Profile gets in through the mesh.
pub fn browser_access(owner: &Owner, config: &PlatformConfig) -> BrowserAccess {
    match (owner, &config.groups_claim) {
        (Owner::User(_), _) => BrowserAccess::ByUserHeader,
        (Owner::ServiceAccount { .. }, _) => BrowserAccess::ByPrincipal,
        (Owner::Group(_), Some(_)) => BrowserAccess::ByGroupsClaim,
        (Owner::Group(_), None) => BrowserAccess::NotForGroups,
    }
}

/// Whether a change of a field in a policy writes down what holds already: one without an action allows.
pub fn is_implied(change: &FieldChange) -> bool {
    change.path == "spec.action" && change.from.is_none() && change.to.as_ref().is_some_and(|to| to == ALLOW)
}

/// The policy that lets the owner, the namespace's own workloads and the platform's probes in.
pub(crate) fn owner_policy(profile: &ValidProfile, config: &PlatformConfig) -> AuthorizationPolicy {
    let rules = owner_rule(profile.owner(), config)
        .into_iter()
        .chain([own_namespace_rule(profile.name()), probes_rule(), notebook_culling_rule(config)])
        .collect();
    AuthorizationPolicy {
        metadata: ObjectMeta { name: Some(OWNER_POLICY.to_owned()), ..ObjectMeta::default() },
        spec: AuthorizationPolicySpec { action: ALLOW.to_owned(), rules },
    }
}

/// No rule at all for an owner who cannot be recognised: a rule without its condition would let everybody in.
fn owner_rule(owner: &Owner, config: &PlatformConfig) -> Option<Rule> {
    let principals = &config.principals;
    let from_gateways = || from([&principals.ingress_gateway, &principals.kfp_ui]);
    match owner {
        Owner::User(name) => Some(Rule {
            from: from_gateways(),
            when: when(
                format!("request.headers[{}]", config.userid_header),
                format!("{}{name}", config.userid_prefix),
            ),
            ..Rule::default()
        }),
        Owner::Group(name) => config.groups_claim.as_ref().map(|claim| Rule {
            from: from_gateways(),
            when: when(format!("request.auth.claims[{claim}]"), name.clone()),
            ..Rule::default()
        }),
        // `cluster.local` stands for the mesh's own trust domain, whatever its name.
        Owner::ServiceAccount { namespace, name } => {
            Some(Rule { from: from([&format!("cluster.local/ns/{namespace}/sa/{name}")]), ..Rule::default() })
        }
    }
}

/// The policy that lets a contributor in as the owner is let in; its metadata is empty. `None` for one who cannot be
/// recognised: then there is access through RBAC alone.
pub(crate) fn contributor_policy(subject: &Owner, config: &PlatformConfig) -> Option<AuthorizationPolicy> {
    let rules = vec![owner_rule(subject, config)?];
    let spec = AuthorizationPolicySpec { action: ALLOW.to_owned(), rules };
    Some(AuthorizationPolicy { metadata: ObjectMeta::default(), spec })
}

fn own_namespace_rule(namespace: &str) -> Rule {
    Rule { when: when("source.namespace".to_owned(), namespace.to_owned()), ..Rule::default() }
}

/// Knative probes pods on these paths, from outside the mesh.
fn probes_rule() -> Rule {
    let paths = ["/healthz", "/metrics", "/wait-for-drain"].map(str::to_owned).to_vec();
    Rule { to: vec![To { operation: Operation { paths, ..Operation::default() } }], ..Rule::default() }
}

/// The notebook controller asks a notebook for its kernels, to stop it when it is idle.
fn notebook_culling_rule(config: &PlatformConfig) -> Rule {
    let operation = Operation { methods: vec!["GET".to_owned()], paths: vec!["*/api/kernels".to_owned()] };
    Rule {
        from: from([&config.principals.notebook_controller]),
        to: vec![To { operation }],
        ..Rule::default()
    }
}

fn from<const N: usize>(principals: [&String; N]) -> Vec<From> {
    vec![From { source: Source { principals: principals.map(Clone::clone).to_vec() } }]
}

fn when(key: String, value: String) -> Vec<When> {
    vec![When { key, values: vec![value] }]
}
