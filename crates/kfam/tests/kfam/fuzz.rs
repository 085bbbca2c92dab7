//! Ten thousand requests of any kind: none of them is answered with a server error, and the service lives on.

use fastrand::Rng;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::harness::{ADMIN, DASHBOARD, GATEWAY, Kfam, Who, World, certificate, run};

const REQUESTS: u64 = 10_000;
const AT_A_TIME: usize = 32;

#[test]
fn ten_thousand_requests_of_any_kind_are_all_answered_without_a_server_error() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&[]).await;
        let team = world.team(&kfam, "jane@example.com").await;
        let seed = std::env::var("KFAM_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let (kfam, team) = (&kfam, team.as_str());
        let answers = stream::iter(0..REQUESTS).map(|number| async move {
            let mut rng = Rng::with_seed(seed + number * 7919);
            let code = ask(kfam, team, &mut rng).await;
            assert!(code < 500, "request {number} of seed {seed} is answered with {code}");
            code
        });
        let codes: Vec<u16> = answers.buffer_unordered(AT_A_TIME).collect().await;
        let count = |wanted: u16| codes.iter().filter(|code| **code == wanted).count();
        // Not all of them fail at the first hurdle.
        for code in [200, 400, 401, 403, 404, 405, 409, 422] {
            assert!(count(code) > 10, "{} answers {code}", count(code));
        }
        assert!(
            !kfam.log().iter().any(|line| line["message"].as_str().is_some_and(|it| it.contains("panicked")))
        );
        let (bindings, policies) = world.halves(team).await;
        let users = bindings.iter().filter(|name| !name.starts_with("group-")).count();
        assert_eq!(users, policies.len(), "no half is left: {bindings:?} {policies:?}");
        assert_eq!(kfam.get(Who::Headers(&[]), "/healthz").await.code(), 200);
    });
}

async fn ask(kfam: &Kfam, team: &str, rng: &mut Rng) -> u16 {
    let method = match rng.u8(0..10) {
        0 => pick(rng, &["PUT", "PATCH", "HEAD", "OPTIONS", "BREW"]),
        1..4 => "GET",
        4..7 => "POST",
        _ => "DELETE",
    };
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let path = path(team, rng);
    let headers = headers(rng);
    let body = body(team, rng);
    let answer = kfam.send(method, &path, headers, body.into()).await;
    // What cannot be sent at all is no request.
    answer.map_or(0, |answer| answer.code())
}

fn path(team: &str, rng: &mut Rng) -> String {
    let path = pick(
        rng,
        &[
            "/kfam/v1/bindings",
            "/kfam/v1/bindings",
            "/kfam/v1/bindings",
            "/kfam/v1/bindings",
            "/kfam/v1/bindings",
            "/kfam/v1/profiles",
            "/kfam/v1/profiles/",
            "/kfam/v1/role/clusteradmin",
            "/kfam/",
            "/kfam/openapi.json",
            "/",
        ],
    );
    let mut path = path.to_owned();
    if path.ends_with("profiles/") {
        // The team itself stays: without it there is nothing to share.
        path += &encoded(&text("p0", rng));
    }
    for number in 0..rng.usize(0..3) {
        path.push(if number == 0 { '?' } else { '&' });
        path += pick(rng, &["user", "namespace", "role", "x"]);
        path.push('=');
        path += &encoded(&text(team, rng));
    }
    path
}

fn headers(rng: &mut Rng) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &[u8]| {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    };
    for _ in 0..pick(rng, &[0, 1, 1, 1, 1, 1, 1, 1, 2]) {
        let pod = certificate("cluster.local/ns/a/sa/b");
        let value = match rng.u8(0..12) {
            0 => certificate("cluster.local/ns/a/sa/b"),
            1 => format!("{},{pod}", certificate(DASHBOARD)),
            2 => text("x", rng),
            3..=6 => certificate(DASHBOARD),
            _ => certificate(GATEWAY),
        };
        add("x-forwarded-client-cert", value.as_bytes());
    }
    for _ in 0..pick(rng, &[0, 1, 1, 1, 1, 1, 1, 1, 2]) {
        let user = match rng.u8(0..10) {
            0 => text("x", rng),
            1..=3 => ADMIN.to_owned(),
            _ => "jane@example.com".to_owned(),
        };
        add("kubeflow-userid", user.as_bytes());
    }
    if rng.u8(0..20) == 0 {
        add(
            pick(rng, &["origin", "sec-fetch-site", "content-type", "transfer-encoding"]),
            text("x", rng).as_bytes(),
        );
    }
    // Lengths and encodings that do not fit the body are the business of the HTTP client here.
    headers.remove("transfer-encoding");
    headers
}

fn body(team: &str, rng: &mut Rng) -> Vec<u8> {
    let mut value = if rng.bool() {
        json!({
            "user": { "kind": "User", "name": text(team, rng) },
            "referredNamespace": team,
            "RoleRef": { "kind": "ClusterRole", "name": pick(rng, &["admin", "edit", "view"]) },
        })
    } else {
        json!({
            "metadata": { "name": text(team, rng) },
            "spec": { "owner": { "kind": "User", "name": pick(rng, &["jane@example.com", "joe@example.com"]) } },
        })
    };
    for _ in 0..pick(rng, &[0, 0, 0, 0, 1, 1, 2]) {
        mutate(&mut value, team, rng);
    }
    let mut body = value.to_string().into_bytes();
    match rng.u8(0..30) {
        0 => body.truncate(rng.usize(0..=body.len())),
        1 => body.iter_mut().for_each(|byte| {
            if rng.u8(0..20) == 0 {
                *byte = rng.u8(..)
            }
        }),
        2 => {
            let length = rng.usize(0..200);
            body = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
        }
        3 => body.resize(rng.usize(0..100_000), b' '),
        _ => {}
    }
    body
}

/// Changes something somewhere.
fn mutate(value: &mut Value, team: &str, rng: &mut Rng) {
    match value {
        Value::Object(fields) if !fields.is_empty() && rng.u8(0..5) > 0 => {
            let number = rng.usize(0..fields.len());
            let key = fields.keys().nth(number).cloned().unwrap();
            if rng.u8(0..8) == 0 {
                fields.remove(&key);
            } else {
                mutate(&mut fields[&key], team, rng);
            }
        }
        _ => {
            *value = match rng.u8(0..8) {
                0 => Value::Null,
                1 => json!(rng.i64(..)),
                2 => json!([text(team, rng)]),
                3 => json!({ text(team, rng): text(team, rng) }),
                4 => json!(pick(rng, &["Group", "ServiceAccount", "User", "Role"])),
                _ => json!(text(team, rng)),
            }
        }
    }
}

/// Names of all sorts.
fn text(team: &str, rng: &mut Rng) -> String {
    match rng.u8(0..14) {
        0 => String::new(),
        1 => "x".repeat(rng.usize(1..2000)),
        2 => {
            let length = rng.usize(1..40);
            std::iter::repeat_with(|| rng.char(..)).take(length).collect()
        }
        3 => pick(
            rng,
            &[
                "*",
                "*@x",
                "../../api/v1/secrets",
                "%00",
                "\u{202e}",
                "kube-system",
                "a\nb",
                "'; --",
                "\\\"}{",
                " ",
            ],
        )
        .to_owned(),
        4 => team.to_owned(),
        5 => ADMIN.to_owned(),
        6..=8 => format!("p{}", rng.u8(0..200)),
        _ => format!("u{}{}x@example.com", rng.u8(0..20), pick(rng, &[".", "-", "_", "+"])),
    }
}

fn pick<T: Copy>(rng: &mut Rng, values: &[T]) -> T {
    values[rng.usize(0..values.len())]
}

/// Percent-encoded.
fn encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    });
    encoded.collect()
}
