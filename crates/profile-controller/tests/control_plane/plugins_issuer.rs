//! Which OIDC provider of a role is that of the cluster, where no flag says it.

use dev_cluster::Cluster;
use mock_clouds::ACCOUNT;
use serde_json::{Value, json};

use crate::{
    clouds::{Clouds, ISSUER, role, subject},
    harness::{run, unique},
};

/// A trust policy for the ServiceAccounts of other clusters.
fn trust_in(issuers: &[&str]) -> Value {
    let statements = issuers.iter().map(|issuer| {
        json!({
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}") },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": { "StringEquals": { format!("{issuer}:sub"): ["system:serviceaccount:other:default-editor"] } },
        })
    });
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

/// Whether a role lets in a Profile for an issuer.
async fn lets_in(clouds: &Clouds, role: &str, issuer: &str, profile: &str) -> bool {
    let policy = clouds.aws.trust_policy(role).await.unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let subjects =
        |statement: &Value| statement["Condition"]["StringEquals"][format!("{issuer}:sub")].to_string();
    statements.iter().any(|statement| subjects(statement).contains(&format!("\"{}\"", subject(profile))))
}

#[test]
fn an_issuer_of_eks_is_taken_from_the_api_server() {
    run(async {
        let issuer = format!("--service-account-issuer=https://{ISSUER}");
        let clouds = Clouds::with(Cluster::builder().api_server_flag(issuer)).await;
        let _controller = clouds.controller_without_issuer(&[]);
        let (name, role_name) = (unique("issuer"), unique("issuer-role"));
        let trust = trust_in(&["oidc.example.com/one", ISSUER, "oidc.example.com/two"]);
        let arn = clouds.aws.create_role("/", &role_name, &trust).await.unwrap();
        clouds.create(&name, role(&arn)).await;
        clouds.world.ready(&name).await;
        assert!(lets_in(&clouds, &role_name, ISSUER, &name).await);
    });
}

#[test]
fn without_such_an_issuer_it_is_the_only_provider_of_the_role_and_of_several_none() {
    run(async {
        let clouds = Clouds::start().await;
        let _controller = clouds.controller_without_issuer(&[]);
        let (name, role_name) = (unique("only"), unique("only-role"));
        let one = "oidc.example.com/one";
        let arn = clouds.aws.create_role("/", &role_name, &trust_in(&[one])).await.unwrap();
        clouds.create(&name, role(&arn)).await;
        clouds.world.ready(&name).await;
        assert!(lets_in(&clouds, &role_name, one, &name).await);

        let (name, role_name) = (unique("several"), unique("several-role"));
        let trust = trust_in(&[one, "oidc.example.com/two"]);
        let arn = clouds.aws.create_role("/", &role_name, &trust).await.unwrap();
        clouds.create(&name, role(&arn)).await;
        let ready = clouds.world.not_ready(&name, "GrantRefused").await;
        for expected in [&arn, "oidc.example.com/one", "oidc.example.com/two", "--eks-oidc-issuer"] {
            assert!(ready.message.contains(expected), "{}", ready.message);
        }
        assert_eq!(clouds.aws.trust_policy(&role_name).await.unwrap(), trust);
    });
}
