//! What is changed in a trust policy, and what is not, for any policy.

#![allow(clippy::unwrap_used)]

use plugin_eks_irsa::{
    Json,
    policy::{Identity, grant, providers, revoke},
};
use proptest::prelude::*;

const OURS: &str = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC";
const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";
const JANE: Identity<'static> =
    Identity { provider: OURS, subject: "system:serviceaccount:jane:default-editor" };

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

fn granted(policy: &str) -> Json {
    let mut policy = json(policy);
    grant(&mut policy, &JANE).unwrap();
    policy
}

/// A policy with one statement for our provider, whose condition is given.
fn ours(condition: &str) -> String {
    let condition = condition.replace("ISSUER", ISSUER).replace("JANE", JANE.subject);
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ours","Effect":"Allow","Principal":{{"Federated":"{OURS}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{condition}}}]}}"#
    )
}

#[test]
fn a_subject_is_added_to_the_statement_for_our_provider_in_the_form_that_it_has() {
    for (before, after) in [
        (
            r#"{"StringEquals":{"ISSUER:sub":"x","ISSUER:aud":"sts.amazonaws.com"}}"#,
            r#"{"StringEquals":{"ISSUER:sub":["JANE","x"],"ISSUER:aud":"sts.amazonaws.com"}}"#,
        ),
        (
            r#"{"StringEquals":{"ISSUER:aud":["other","sts.amazonaws.com"],"ISSUER:sub":["x","y"]}}"#,
            r#"{"StringEquals":{"ISSUER:aud":["other","sts.amazonaws.com"],"ISSUER:sub":["x","y","JANE"]}}"#,
        ),
        (
            r#"{"StringLike":{"ISSUER:sub":"system:serviceaccount:x-*:y"},"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"}}"#,
            r#"{"StringLike":{"ISSUER:sub":["JANE","system:serviceaccount:x-*:y"]},"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"}}"#,
        ),
        (
            r#"{"StringEquals":{"ISSUER:sub":["x"],"ISSUER:aud":"sts.amazonaws.com"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
            r#"{"StringEquals":{"ISSUER:sub":["x","JANE"],"ISSUER:aud":"sts.amazonaws.com"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
        ),
    ] {
        assert_eq!(granted(&ours(before)), json(&ours(after)), "{before}");
        let mut revoked = json(&ours(after));
        revoke(&mut revoked, &JANE).unwrap();
        assert_eq!(revoked, json(&ours(before)), "{before}");
    }
}

#[test]
fn who_is_let_in_already_is_not_added() {
    for condition in [
        r#"{"StringEquals":{"ISSUER:sub":"JANE","ISSUER:aud":"sts.amazonaws.com"}}"#,
        r#"{"StringEquals":{"ISSUER:sub":["x","JANE"],"ISSUER:aud":["sts.amazonaws.com","x"]}}"#,
        r#"{"StringLike":{"ISSUER:sub":"system:serviceaccount:*:default-editor","ISSUER:aud":"sts.*"}}"#,
        r#"{"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"}}"#,
    ] {
        assert_eq!(granted(&ours(condition)), json(&ours(condition)), "{condition}");
    }
}

#[test]
fn a_statement_that_would_not_do_gets_one_of_ours_beside_it() {
    for condition in [
        // Tokens for somebody else.
        r#"{"StringEquals":{"ISSUER:sub":"x","ISSUER:aud":"other"}}"#,
        // For any audience.
        r#"{"StringEquals":{"ISSUER:sub":"x"}}"#,
        // Both have to hold.
        r#"{"StringEquals":{"ISSUER:sub":"x","ISSUER:aud":"sts.amazonaws.com"},"StringLike":{"ISSUER:sub":"x"}}"#,
        // A negation.
        r#"{"StringNotEquals":{"ISSUER:sub":"x"},"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"}}"#,
    ] {
        let policy = granted(&ours(condition));
        let statements = policy.get("Statement").unwrap().one_or_more();
        assert_eq!(statements.len(), 2, "{condition}");
        assert_eq!(statements[0], json(&ours(condition)).get("Statement").unwrap().one_or_more()[0]);
        let expected = ours(r#"{"StringEquals":{"ISSUER:sub":"JANE","ISSUER:aud":"sts.amazonaws.com"}}"#)
            .replace(r#""Sid":"Ours","#, "");
        assert_eq!(statements[1], json(&expected).get("Statement").unwrap().one_or_more()[0]);
    }
}

#[test]
fn the_last_subject_takes_its_statement_along_and_a_policy_never_ends_up_empty() {
    let mut policy =
        json(&ours(r#"{"StringEquals":{"ISSUER:sub":["JANE"],"ISSUER:aud":"sts.amazonaws.com"}}"#));
    revoke(&mut policy, &JANE).unwrap();
    let statements = policy.get("Statement").unwrap().one_or_more();
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].get("Effect").unwrap().as_str(), Some("Deny"));
    assert!(!policy.to_string().contains(JANE.subject));
}

#[test]
fn the_same_name_in_another_cluster_is_somebody_else() {
    let other = ours(r#"{"StringEquals":{"ISSUER:sub":"JANE","ISSUER:aud":"sts.amazonaws.com"}}"#)
        .replace("id/ABC", "id/DEF");
    let mut policy = json(&other);
    revoke(&mut policy, &JANE).unwrap();
    assert_eq!(policy, json(&other));
    assert_eq!(granted(&other).get("Statement").unwrap().one_or_more().len(), 2);
    assert_eq!(providers(&granted(&other)).len(), 2);
}

fn one_or_more(values: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Json> {
    let one = values.clone().prop_map(Json::String);
    let several = proptest::collection::vec(values.prop_map(Json::String), 1..4).prop_map(Json::Array);
    prop_oneof![one, several]
}

fn subjects() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        Just("system:serviceaccount:joe:default-editor".to_owned()),
        Just("system:serviceaccount:joe-*:x".to_owned()),
        Just("system:serviceaccount:x:y".to_owned()),
    ]
}

fn keys() -> impl Strategy<Value = (String, Json)> {
    let audience = prop_oneof![Just("sts.amazonaws.com".to_owned()), Just("other".to_owned())];
    prop_oneof![
        one_or_more(subjects()).prop_map(|values| (format!("{ISSUER}:sub"), values)),
        one_or_more(audience).prop_map(|values| (format!("{ISSUER}:aud"), values)),
        one_or_more(subjects()).prop_map(|values| ("other.example.com:sub".to_owned(), values)),
        Just(("aws:SourceIp".to_owned(), Json::from("10.0.0.0/8"))),
    ]
}

fn conditions() -> impl Strategy<Value = Json> {
    let operator =
        prop_oneof![Just("StringEquals"), Just("StringLike"), Just("StringNotEquals"), Just("Bool")];
    let keys = proptest::collection::btree_map("[a-d]", keys(), 1..4)
        .prop_map(|keys| Json::Object(distinct(keys.into_values().collect())));
    proptest::collection::vec((operator.prop_map(str::to_owned), keys), 0..3)
        .prop_map(|fields| Json::Object(distinct(fields)))
}

/// IAM takes no field twice.
fn distinct(fields: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let mut seen = std::collections::BTreeSet::new();
    fields.into_iter().filter(|(key, _)| seen.insert(key.clone())).collect()
}

fn statements() -> impl Strategy<Value = Json> {
    let provider = prop_oneof![
        3 => Just(OURS.to_owned()),
        1 => Just("arn:aws:iam::123456789012:oidc-provider/other.example.com".to_owned()),
    ];
    let principal = prop_oneof![
        4 => one_or_more(provider).prop_map(|value| Json::Object(vec![("Federated".to_owned(), value)])),
        1 => Just(json(r#"{"Service":"ec2.amazonaws.com"}"#)),
        1 => Just(Json::from("*")),
    ];
    let action = prop_oneof![
        3 => Just(Json::from("sts:AssumeRoleWithWebIdentity")),
        1 => Just(json(r#"["sts:AssumeRoleWithWebIdentity","sts:TagSession"]"#)),
        1 => Just(Json::from("sts:AssumeRole")),
    ];
    let effect = prop_oneof![4 => Just("Allow"), 1 => Just("Deny")];
    (effect, principal, action, proptest::option::weighted(0.8, conditions())).prop_map(
        |(effect, principal, action, condition)| {
            let mut fields = vec![
                ("Principal".to_owned(), principal),
                ("Effect".to_owned(), Json::from(effect)),
                ("Action".to_owned(), action),
            ];
            fields.extend(condition.map(|condition| ("Condition".to_owned(), condition)));
            Json::Object(fields)
        },
    )
}

fn policies() -> impl Strategy<Value = Json> {
    let several = proptest::collection::vec(statements(), 1..5).prop_map(Json::Array);
    prop_oneof![4 => several, 1 => statements()].prop_map(|statements| {
        Json::Object(vec![
            ("Statement".to_owned(), statements),
            ("Version".to_owned(), Json::from("2012-10-17")),
            ("Id".to_owned(), Json::from("any")),
        ])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn granting_and_revoking_gives_back_an_equal_document(policy in policies()) {
        let mut changed = policy.clone();
        grant(&mut changed, &JANE).unwrap();
        let read: Json = serde_json::from_str(&changed.to_string()).unwrap();
        prop_assert_eq!(&read, &changed);
        revoke(&mut changed, &JANE).unwrap();
        prop_assert_eq!(changed.to_string(), policy.to_string());
    }

    #[test]
    fn granting_twice_is_granting_once_and_so_is_revoking(policy in policies()) {
        let mut once = policy.clone();
        grant(&mut once, &JANE).unwrap();
        let mut twice = once.clone();
        grant(&mut twice, &JANE).unwrap();
        prop_assert_eq!(&twice, &once);
        revoke(&mut once, &JANE).unwrap();
        let mut twice = once.clone();
        revoke(&mut twice, &JANE).unwrap();
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn no_statement_that_is_not_for_our_provider_ever_changes(policy in policies()) {
        let others = |policy: &Json| -> Vec<Json> {
            let statements = policy.get("Statement").unwrap().one_or_more();
            statements.iter().filter(|statement| !statement.to_string().contains(OURS)).cloned().collect()
        };
        let mut changed = policy.clone();
        grant(&mut changed, &JANE).unwrap();
        prop_assert_eq!(others(&changed), others(&policy));
        revoke(&mut changed, &JANE).unwrap();
        prop_assert_eq!(others(&changed), others(&policy));
    }

    #[test]
    fn several_come_and_go_in_any_order_and_nobody_else_is_let_in_or_out(
        policy in policies(),
        order in Just([0, 1, 2]).prop_shuffle(),
    ) {
        let subjects = [0, 1, 2].map(|number| format!("system:serviceaccount:team-{number}:default-editor"));
        let identity = |number: usize| Identity { provider: OURS, subject: &subjects[number] };
        let mut changed = policy.clone();
        for number in 0..3 {
            grant(&mut changed, &identity(number)).unwrap();
        }
        for number in order {
            revoke(&mut changed, &identity(number)).unwrap();
        }
        // A list of one may be left where there was one value: to IAM they are the same.
        prop_assert_eq!(normalised(&changed), normalised(&policy));
    }
}

fn normalised(json: &Json) -> Json {
    match json {
        Json::Array(values) if values.len() == 1 => normalised(&values[0]),
        Json::Array(values) => Json::Array(values.iter().map(normalised).collect()),
        Json::Object(fields) => {
            Json::Object(fields.iter().map(|(key, value)| (key.clone(), normalised(value))).collect())
        }
        other => other.clone(),
    }
}
