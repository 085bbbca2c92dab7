//! Whether the controller may do what it has to.
//!
//! The API server is asked with access reviews. They are create requests, but nothing is stored: to the cluster they are reads.
//! Everybody may ask about themselves; about a ServiceAccount, who may create SubjectAccessReviews.

use std::{fmt, str::FromStr};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::{Api, Client, api::PostParams};
use profile_api::names::{CLUSTER_ROLE_ADMIN, CLUSTER_ROLE_EDIT, CLUSTER_ROLE_VIEW, GROUP, RBAC_GROUP};
use profile_render::OwnedKind;

use crate::{
    preflight::{
        checks::{Told, told},
        report::Check,
    },
    request::{RequestError, bounded},
};

const NAME: &str = "Permissions";

/// How many reviews are asked for at a time.
const CONCURRENT: usize = 8;

/// A ServiceAccount, written `namespace:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceAccountName {
    namespace: String,
    name: String,
}

impl FromStr for ServiceAccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = "write NAMESPACE:NAME, such as kubeflow:profiles-controller-service-account";
        match text.split_once(':') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains(':') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(problem.to_owned()),
        }
    }
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount {}/{}", self.namespace, self.name)
    }
}

/// Something that the controller does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Resource {
        verb: &'static str,
        group: String,
        resource: String,
        subresource: &'static str,
        name: &'static str,
    },
    Path {
        verb: &'static str,
        path: &'static str,
    },
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { verb, path } => write!(f, "{verb} {path}"),
            Self::Resource { verb, group, resource, subresource, name } => {
                write!(f, "{verb} {resource}")?;
                for (mark, part) in [("/", *subresource), (".", group.as_str()), (" ", *name)] {
                    if !part.is_empty() {
                        write!(f, "{mark}{part}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Everything that the controller does outside its own namespace, as its ClusterRole has it.
fn needs() -> Vec<Need> {
    let mut needs = Vec::new();
    for kind in OwnedKind::ALL {
        let resource = kind.api_resource();
        // What cannot be changed in place is replaced.
        let delete = kind.immutable_path().map(|_| "delete");
        for verb in ["get", "list", "watch", "create", "patch"].into_iter().chain(delete) {
            needs.push(need(verb, &resource.group, &resource.plural, "", ""));
        }
    }
    needs.extend(["list", "watch", "patch"].map(|verb| need(verb, GROUP, "profiles", "", "")));
    needs.push(need("patch", GROUP, "profiles", "status", ""));
    needs.push(need("update", GROUP, "profiles", "finalizers", ""));
    let roles = [CLUSTER_ROLE_ADMIN, CLUSTER_ROLE_EDIT, CLUSTER_ROLE_VIEW];
    needs.extend(roles.map(|role| need("bind", RBAC_GROUP, "clusterroles", "", role)));
    needs.extend(["create", "patch"].map(|verb| need(verb, "events.k8s.io", "events", "", "")));
    needs.push(Need::Path { verb: "get", path: "/.well-known/openid-configuration" });
    needs
}

fn need(
    verb: &'static str,
    group: &str,
    resource: &str,
    subresource: &'static str,
    name: &'static str,
) -> Need {
    Need::Resource { verb, group: group.to_owned(), resource: resource.to_owned(), subresource, name }
}

/// Of a ServiceAccount that was named, what is missing is a failure; of whoever runs this it is worth knowing, as that need not be
/// who the controller will be.
pub(super) async fn check(
    client: &Client,
    account: Option<&ServiceAccountName>,
) -> Result<Check, RequestError> {
    let needs = needs();
    let count = needs.len();
    let reviews = needs.into_iter().map(|need| async {
        let allowed = told(review(client, account, &need).await)?;
        Ok::<_, RequestError>((need, allowed))
    });
    let answers: Vec<_> = stream::iter(reviews).buffered(CONCURRENT).try_collect().await?;
    let mut missing = Vec::new();
    for (need, allowed) in answers {
        match allowed {
            Told::Answer(true) => {}
            Told::Answer(false) => missing.push(need.to_string()),
            Told::Refused(why) => return Ok(Check::note(NAME, format!("cannot ask for permissions: {why}"))),
        }
    }
    Ok(match (account, missing.is_empty()) {
        (Some(account), true) => Check::ok(NAME, format!("{account} may do all that the controller does")),
        (Some(account), false) => {
            let message = format!(
                "{account} lacks {} of {count} permissions ({}): apply the ClusterRole of this version and bind it",
                missing.len(),
                missing.join(", ")
            );
            Check::failed(NAME, message)
        }
        (None, true) => {
            let message = "who runs preflight may do all that the controller does; \
                           --service-account asks about the controller's ServiceAccount";
            Check::ok(NAME, message)
        }
        (None, false) => {
            let message = format!(
                "who runs preflight lacks {} of the controller's {count} permissions; \
                 --service-account asks about the controller's ServiceAccount",
                missing.len()
            );
            Check::note(NAME, message)
        }
    })
}

async fn review(
    client: &Client,
    account: Option<&ServiceAccountName>,
    need: &Need,
) -> Result<bool, RequestError> {
    let (resource_attributes, non_resource_attributes) = attributes(need);
    let params = PostParams::default();
    let status = match account {
        Some(ServiceAccountName { namespace, name }) => {
            let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
            let groups = groups.into_iter().chain(["system:authenticated".to_owned()]).collect();
            let spec = SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{namespace}:{name}")),
                groups: Some(groups),
                resource_attributes,
                non_resource_attributes,
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
            bounded(reviews.create(&params, &review)).await?.status
        }
        None => {
            let spec = SelfSubjectAccessReviewSpec { resource_attributes, non_resource_attributes };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
            bounded(reviews.create(&params, &review)).await?.status
        }
    };
    Ok(status.is_some_and(|SubjectAccessReviewStatus { allowed, .. }| allowed))
}

fn attributes(need: &Need) -> (Option<ResourceAttributes>, Option<NonResourceAttributes>) {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match need {
        Need::Path { verb, path } => {
            (None, Some(NonResourceAttributes { path: given(path), verb: given(verb) }))
        }
        Need::Resource { verb, group, resource, subresource, name } => {
            let attributes = ResourceAttributes {
                verb: given(verb),
                group: given(group),
                resource: given(resource),
                subresource: given(subresource),
                name: given(name),
                ..ResourceAttributes::default()
            };
            (Some(attributes), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value;

    use super::*;

    /// Every permission that a rule gives, each as text.
    fn permissions(rule: &Value) -> Vec<String> {
        let list = |field: &str| -> Vec<String> {
            rule[field].as_array().into_iter().flatten().map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        let mut permissions = Vec::new();
        for verb in list("verbs") {
            permissions.extend(list("nonResourceURLs").iter().map(|path| format!("{verb} {path}")));
            for group in list("apiGroups") {
                for resource in list("resources") {
                    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
                    let whole = format!("{verb} {resource}{group}");
                    let names = list("resourceNames");
                    permissions.extend(names.iter().map(|name| format!("{whole} {name}")));
                    permissions.extend(names.is_empty().then_some(whole));
                }
            }
        }
        permissions
    }

    #[test]
    fn what_is_asked_for_is_what_the_cluster_role_gives() {
        let role =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/base/rbac/controller-role.yaml");
        let role: Value = serde_saphyr::from_str(&fs::read_to_string(role).unwrap()).unwrap();
        let given: BTreeSet<String> =
            role["rules"].as_array().unwrap().iter().flat_map(permissions).collect();
        let asked: BTreeSet<String> = needs().iter().map(ToString::to_string).collect();
        assert_eq!(asked, given);
    }

    #[test]
    fn a_service_account_is_written_with_its_namespace() {
        let account: ServiceAccountName = "kubeflow:profiles".parse().unwrap();
        assert_eq!(account.to_string(), "ServiceAccount kubeflow/profiles");
        for text in ["profiles", ":profiles", "kubeflow:", "system:serviceaccount:kubeflow:profiles", ""] {
            assert!(text.parse::<ServiceAccountName>().unwrap_err().contains("NAMESPACE:NAME"), "{text}");
        }
    }
}
