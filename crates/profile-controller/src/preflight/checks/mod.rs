//! What has to hold in the cluster as a whole. Nothing is written: the reviews that permissions are asked for with are answered and
//! not stored.

mod lease;
mod permissions;
mod schema;

use std::path::Path;

use futures::future::try_join_all;
use k8s_openapi::{
    api::{coordination::v1::Lease, rbac::v1::ClusterRole},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, Client, api::ListParams};
use profile_api::names::{CLUSTER_ROLE_ADMIN, CLUSTER_ROLE_EDIT, CLUSTER_ROLE_VIEW, CRD_NAME};
use profile_render::{NamespaceLabels, OwnedKind};

pub(crate) use permissions::ServiceAccountName;

use crate::{
    lease::LEASE,
    preflight::{picture::Picture, report::Check},
    request::{RequestError, bounded},
};

/// Looks at the cluster as a whole.
pub(super) struct Checks {
    pub(super) client: Client,
    /// Whose permissions to look at; those of whoever runs this if nobody is named.
    pub(super) service_account: Option<ServiceAccountName>,
}

impl Checks {
    /// Every check.
    ///
    /// # Errors
    /// When the API server does not answer. What it refuses to tell is a note.
    pub(super) async fn look(&self, picture: &Picture, labels: Check) -> anyhow::Result<Vec<Check>> {
        let mut checks = vec![labels, profiles_served(picture), policies_served(picture)];
        checks.push(self.schema().await?);
        checks.push(self.cluster_roles().await?);
        checks.push(self.lease().await?);
        checks.push(permissions::check(&self.client, self.service_account.as_ref()).await?);
        Ok(checks)
    }

    async fn schema(&self) -> Result<Check, RequestError> {
        const NAME: &str = "ProfileSchema";
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        Ok(match told(bounded(definitions.get_opt(CRD_NAME)).await)? {
            Told::Answer(Some(definition)) => schema::check(NAME, &definition),
            Told::Answer(None) => {
                Check::failed(NAME, format!("there is no CRD {CRD_NAME}: apply that of this version"))
            }
            Told::Refused(why) => Check::note(NAME, format!("cannot look at CRD {CRD_NAME}: {why}")),
        })
    }

    async fn cluster_roles(&self) -> Result<Check, RequestError> {
        const NAME: &str = "ClusterRoles";
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        let wanted = [CLUSTER_ROLE_ADMIN, CLUSTER_ROLE_EDIT, CLUSTER_ROLE_VIEW];
        let found = wanted.map(|name| async {
            let name = name.to_owned();
            let answer = told(bounded(roles.get_opt(&name)).await)?;
            Ok::<_, RequestError>((name, answer))
        });
        let mut missing = Vec::new();
        for (name, answer) in try_join_all(found).await? {
            match answer {
                Told::Answer(Some(_)) => {}
                Told::Answer(None) => missing.push(name),
                Told::Refused(why) => {
                    return Ok(Check::note(NAME, format!("cannot look at ClusterRole {name}: {why}")));
                }
            }
        }
        Ok(match missing.is_empty() {
            true => Check::ok(NAME, format!("{} are there", wanted.join(", "))),
            false => {
                let message = format!(
                    "{} missing: RoleBindings to it give no access; the platform brings it, and the overlay standalone",
                    missing.join(", ")
                );
                Check::failed(NAME, message)
            }
        })
    }

    /// In every namespace: two controllers whose Leases are in different ones would work at the same time.
    async fn lease(&self) -> Result<Check, RequestError> {
        let leases: Api<Lease> = Api::all(self.client.clone());
        let params = ListParams::default().fields(&format!("metadata.name={LEASE}"));
        Ok(match told(bounded(leases.list(&params)).await)? {
            Told::Answer(listed) => lease::check(&listed.items, jiff::Timestamp::now()),
            Told::Refused(why) => Check::note(lease::NAME, format!("cannot look for Leases {LEASE}: {why}")),
        })
    }
}

/// What the namespace labels file asks for; without it the controller adds no labels.
pub(super) fn labels_check(path: &Path, labels: Option<&NamespaceLabels>) -> Check {
    const NAME: &str = "LabelsFile";
    let path = path.display();
    match labels {
        Some(labels) => Check::ok(NAME, format!("{path} has {} labels", labels.iter().count())),
        None => {
            let message = format!(
                "there is no file {path}: without it namespaces get no labels; \
                 --namespace-labels-path names the file that the controller will have"
            );
            Check::note(NAME, message)
        }
    }
}

fn profiles_served(picture: &Picture) -> Check {
    const NAME: &str = "ProfilesServed";
    match &picture.profiles {
        Some(profiles) => {
            Check::ok(NAME, format!("the API server serves Profiles; there are {}", profiles.len()))
        }
        None => {
            Check::failed(NAME, format!("the API server does not serve Profiles: apply the CRD {CRD_NAME}"))
        }
    }
}

fn policies_served(picture: &Picture) -> Check {
    const NAME: &str = "PoliciesServed";
    let resource = OwnedKind::AuthorizationPolicy.api_resource();
    let what = format!("{} {}", resource.kind, resource.api_version);
    if picture.profiles.is_none() {
        Check::note(NAME, format!("not looked whether the API server serves {what}"))
    } else if picture.serves(OwnedKind::AuthorizationPolicy) {
        Check::ok(NAME, format!("the API server serves {what}"))
    } else {
        let message = format!(
            "the API server does not serve {what}: no Profile will be ready until Istio 1.22 or newer is installed"
        );
        Check::failed(NAME, message)
    }
}

/// An answer, or why there is none for whoever asks.
enum Told<T> {
    Answer(T),
    Refused(String),
}

fn told<T>(answer: Result<T, RequestError>) -> Result<Told<T>, RequestError> {
    match answer {
        Ok(answer) => Ok(Told::Answer(answer)),
        Err(error) if error.status().is_some_and(|status| status.code == 403) => {
            Ok(Told::Refused(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
