//! A cluster, its controller and clouds, for tests of plugins. Most share one ([`shared`]) and keep to Profiles, roles and
//! service accounts of their own.

use dev_cluster::Cluster;
use kube::ResourceExt;
use mock_clouds::{Aws, Gcp};
use profile_api::{GrantState, Profile, ProfileSpec, Subject, names};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::{Controller, World, patch, until};

/// The OIDC issuer of the cluster, as IAM names it.
pub(crate) const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";

static SHARED: OnceCell<(Clouds, Controller)> = OnceCell::const_new();

pub(crate) struct Clouds {
    pub(crate) world: World,
    pub(crate) aws: Aws,
    pub(crate) gcp: Gcp,
}

/// The cluster and the clouds that most tests share, with a controller.
pub(crate) async fn shared() -> &'static Clouds {
    let (clouds, _) = SHARED
        .get_or_init(|| async {
            let clouds = Clouds::start().await;
            let controller = clouds.controller(&[]);
            (clouds, controller)
        })
        .await;
    clouds
}

impl Clouds {
    pub(crate) async fn start() -> Self {
        Self::with(Cluster::builder()).await
    }

    /// The same on a cluster with other contents.
    pub(crate) async fn with(cluster: dev_cluster::Builder) -> Self {
        let aws = Aws::start().await.expect("AWS");
        let gcp = Gcp::start().await.expect("Google Cloud");
        Self { world: World::with(cluster).await, aws, gcp }
    }

    /// Starts a controller with credentials for the clouds, which is told the issuer of the cluster.
    pub(crate) fn controller(&self, flags: &[&str]) -> Controller {
        let issuer = format!("--eks-oidc-issuer=https://{ISSUER}");
        self.controller_without_issuer(&[&[issuer.as_str()], flags].concat())
    }

    /// Starts a controller with credentials for the clouds.
    pub(crate) fn controller_without_issuer(&self, flags: &[&str]) -> Controller {
        let endpoint = format!("--gke-iam-endpoint={}", self.gcp.url());
        let flags: Vec<&str> = [endpoint.as_str()].into_iter().chain(flags.iter().copied()).collect();
        let environment = self.aws.environment().into_iter().chain(self.gcp.environment());
        self.world.controller_in(environment, &flags)
    }

    /// Creates a Profile with plugins.
    pub(crate) async fn create(&self, name: &str, plugins: Value) -> Profile {
        let mut spec = ProfileSpec::owned_by(Subject::user("jane@example.com"));
        spec.plugins = serde_json::from_value(plugins).expect("plugins");
        self.world.create(Profile::new(name, spec)).await
    }

    /// Waits until a Profile is gone.
    pub(crate) async fn gone(&self, name: &str) {
        until(&format!("Profile {name} is gone"), async || {
            self.world.profiles().get_opt(name).await.ok()?.is_none().then_some(())
        })
        .await;
    }

    /// The annotations of a Profile's default-editor.
    pub(crate) async fn annotations(&self, name: &str) -> std::collections::BTreeMap<String, String> {
        let account = self.world.service_accounts(name).get("default-editor").await.expect("an account");
        account.annotations().clone()
    }

    /// The subjects that a role's trust policy lets in.
    pub(crate) async fn subjects(&self, role: &str) -> Vec<String> {
        let policy = self.aws.trust_policy(role).await.expect("a policy");
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        let subjects = statements.iter().filter(|statement| statement["Effect"] == "Allow").flat_map(|it| {
            match it["Condition"]["StringEquals"][format!("{ISSUER}:sub")].clone() {
                Value::Array(subjects) => subjects,
                Value::Null => Vec::new(),
                one => vec![one],
            }
        });
        subjects.filter_map(|subject| subject.as_str().map(str::to_owned)).collect()
    }
}

/// The plugin for a role.
pub(crate) fn role(arn: &str) -> Value {
    json!([{ "kind": "AwsIamForServiceAccount", "spec": { "awsIamRole": arn } }])
}

/// The plugin for a Google service account.
pub(crate) fn service_account(email: &str) -> Value {
    json!([{ "kind": "WorkloadIdentity", "spec": { "gcpServiceAccount": email } }])
}

/// A trust policy with a statement of somebody else.
pub(crate) fn trust_of_others() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Others",
            "Effect": "Allow",
            "Principal": { "Service": "ec2.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    })
}

/// How a Profile's ServiceAccount is named to AWS.
pub(crate) fn subject(profile: &str) -> String {
    format!("system:serviceaccount:{profile}:default-editor")
}

/// How it is named to Google Cloud.
pub(crate) fn member(profile: &str) -> String {
    format!("serviceAccount:the-pool.svc.id.goog[{profile}/default-editor]")
}

/// The states of what is recorded.
pub(crate) fn states(profile: &Profile) -> Vec<GrantState> {
    profile.status.iter().flat_map(|status| &status.plugins).map(|record| record.state).collect()
}

pub(crate) fn has_finalizer(profile: &Profile) -> bool {
    profile.finalizers().iter().any(|finalizer| finalizer == names::FINALIZER)
}

/// Gives up on what cannot be revoked.
pub(crate) async fn abandon(clouds: &Clouds, name: &str) {
    let annotations = json!({ names::ABANDON_GRANTS_ANNOTATION: "true" });
    patch(&clouds.world.profiles(), name, json!({ "metadata": { "annotations": annotations } })).await;
}
