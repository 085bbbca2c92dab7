//! Every call, right and wrong: statuses, bodies, and what is not there.

use http::{HeaderMap, Method};
use serde_json::json;

use crate::harness::{DASHBOARD, Who, binding, certificate, run, shared, unique};

#[test]
fn what_is_open_to_everybody_says_nothing_about_anybody() {
    run(async {
        let (_, kfam) = shared().await;
        let nobody = Who::Headers(&[]);
        let answer = kfam.get(nobody, "/kfam/").await;
        assert_eq!(
            (answer.code(), answer.headers["content-type"].to_str().unwrap()),
            (200, "text/plain; charset=utf-8")
        );
        assert_eq!(kfam.get(nobody, "/healthz").await.text, "ok\n");
        kfam.ready().await;
        let description = kfam.get(nobody, "/kfam/openapi.json").await.json();
        let mut calls: Vec<String> = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            calls.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
        }
        calls.sort_unstable();
        assert_eq!(
            calls,
            [
                "delete /kfam/v1/bindings",
                "delete /kfam/v1/profiles/{profile}",
                "get /kfam/",
                "get /kfam/v1/bindings",
                "get /kfam/v1/role/clusteradmin",
                "post /kfam/v1/bindings",
                "post /kfam/v1/profiles",
            ]
        );
    });
}

#[test]
fn what_is_not_there_is_said_as_any_other_error() {
    run(async {
        let (_, kfam) = shared().await;
        for path in
            ["/", "/kfam", "/kfam/v1", "/kfam/v2/bindings", "/kfam/v1/profiles/a/b", "/kfam/v1/bindings/"]
        {
            kfam.get(Who::Dashboard, path).await.refused(404, "NotFound");
        }
        for (method, path) in [
            (Method::PUT, "/kfam/v1/bindings"),
            (Method::GET, "/kfam/v1/profiles"),
            (Method::GET, "/kfam/v1/profiles/jane"),
            (Method::POST, "/kfam/v1/role/clusteradmin"),
            (Method::PATCH, "/kfam/"),
        ] {
            kfam.call(Who::Dashboard, method, path, None).await.refused(405, "MethodNotAllowed");
        }
    });
}

#[test]
fn a_body_that_cannot_be_read_is_said_to_be_so() {
    run(async {
        let (_, kfam) = shared().await;
        let send = async |method: Method, path: &str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-client-cert", certificate(DASHBOARD).parse().unwrap());
            headers.insert("kubeflow-userid", "jane@example.com".parse().unwrap());
            kfam.send(method, path, headers, bytes::Bytes::copy_from_slice(body)).await.unwrap()
        };
        let deep = [b"{\"user\":".repeat(5000), b"1".to_vec()].concat();
        for body in [
            b"".as_slice(),
            b"{",
            b"[]",
            b"null",
            b"\xff\xfe",
            b"{\"user\":1}",
            b"{\"metadata\":{},\"spec\":{}}",
            b"{\"metadata\":{\"name\":5},\"spec\":{\"owner\":{\"kind\":\"User\",\"name\":\"x\"}}}",
            &deep,
        ] {
            for (method, path) in [
                (Method::POST, "/kfam/v1/profiles"),
                (Method::POST, "/kfam/v1/bindings"),
                (Method::DELETE, "/kfam/v1/bindings"),
            ] {
                send(method, path, body).await.refused(400, "Malformed");
            }
        }
        let large = vec![b' '; 100_000];
        send(Method::POST, "/kfam/v1/bindings", &large).await.refused(413, "TooLarge");
        kfam.get(Who::Dashboard, "/kfam/v1/bindings?user=a&user=b").await.refused(400, "Malformed");
        kfam.delete_profile(Who::User("jane@example.com"), "%ff").await.refused(400, "Malformed");
    });
}

#[test]
fn what_the_dashboard_sends_and_reads_is_as_it_has_always_been() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        // Without an apiGroup, with a status, the key of the role in either case.
        for key in ["RoleRef", "roleRef"] {
            let mut body = binding(&team, "joe@example.com", "edit");
            let role = body.as_object_mut().unwrap().remove("RoleRef").unwrap();
            body[key] = role;
            body["status"] = json!({});
            kfam.share(Who::User(&owner), body.clone()).await.done();
            let listed =
                kfam.get(Who::Dashboard, &format!("/kfam/v1/bindings?namespace={team}&role=edit")).await;
            assert_eq!(listed.headers["content-type"], "application/json");
            assert_eq!(
                listed.json(),
                json!({ "bindings": [{
                    "user": { "kind": "User", "name": "joe@example.com" },
                    "referredNamespace": team,
                    "RoleRef": { "apiGroup": "", "kind": "ClusterRole", "name": "edit" },
                }] })
            );
            kfam.unshare(Who::User(&owner), body).await.done();
        }
        let listed = kfam.get(Who::Dashboard, "/kfam/v1/bindings?user=nobody").await;
        assert_eq!(listed.json(), json!({ "bindings": [] }));
    });
}
