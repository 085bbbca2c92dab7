//! Who is answered: attacks on the headers that say who asks.

use http::{HeaderMap, HeaderValue, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{
    ADMIN, DASHBOARD, GATEWAY, Kfam, Who, World, binding, certificate, run, shared, unique,
};

const PEER: &str = "x-forwarded-client-cert";
const USER: &str = "kubeflow-userid";

#[test]
fn only_trusted_workloads_are_answered_and_only_with_what_they_may_do_without_a_user() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let pod = certificate(&format!("cluster.local/ns/{team}/sa/default-editor"));
        let (gateway, dashboard) = (certificate(GATEWAY), certificate(DASHBOARD));
        let spoofed = format!("{dashboard},{pod}");
        let unbalanced = format!("{dashboard};Subject=\",{pod}");
        let plain = "By=spiffe://x;Hash=1";
        for (headers, code, word) in [
            (&[][..], 401, "NoPeer"),
            (&[(USER, owner.as_str())], 401, "NoPeer"),
            (&[(PEER, ""), (USER, &owner)], 401, "NoPeer"),
            (&[(PEER, plain), (USER, &owner)], 401, "NoPeer"),
            (&[(PEER, &dashboard), (PEER, &pod), (USER, &owner)], 401, "NoPeer"),
            (&[(PEER, &unbalanced), (USER, &owner)], 401, "NoPeer"),
            (&[(PEER, &pod), (USER, &owner)], 403, "UntrustedPeer"),
            (&[(PEER, &spoofed), (USER, &owner)], 403, "UntrustedPeer"),
            (&[(PEER, &spoofed)], 403, "UntrustedPeer"),
            (&[(PEER, &gateway)], 401, "NoUser"),
            (&[(PEER, &gateway), (USER, "")], 401, "BadUser"),
            (&[(PEER, &dashboard), (USER, "")], 401, "BadUser"),
            (&[(PEER, &dashboard), (USER, &owner), (USER, ADMIN)], 401, "BadUser"),
            (&[(PEER, &gateway), (USER, ADMIN), (USER, ADMIN)], 401, "BadUser"),
        ] {
            for (method, path) in [
                (Method::GET, "/kfam/v1/bindings".to_owned()),
                (Method::GET, format!("/kfam/v1/role/clusteradmin?user={ADMIN}")),
                (Method::POST, "/kfam/v1/profiles".to_owned()),
                (Method::DELETE, format!("/kfam/v1/profiles/{team}")),
                (Method::POST, "/kfam/v1/bindings".to_owned()),
                (Method::DELETE, "/kfam/v1/bindings".to_owned()),
            ] {
                let body = binding(&team, "eve@example.com", "admin");
                let answer = kfam.call(Who::Headers(headers), method, &path, Some(body)).await;
                assert_eq!(
                    (answer.code(), answer.json()["error"].as_str()),
                    (code, Some(word)),
                    "{headers:?} {path}"
                );
            }
        }
        // A pod that appends to what it was given is not taken for the dashboard, but the dashboard behind a pod is.
        let behind = format!("{pod},{dashboard}");
        kfam.get(Who::Headers(&[(PEER, &behind)]), "/kfam/v1/bindings").await.done();
        // Without a user the dashboard changes no access.
        kfam.share(Who::Dashboard, binding(&team, "eve@example.com", "admin"))
            .await
            .refused(401, "UserNeeded");
        kfam.unshare(Who::Dashboard, binding(&team, &owner, "admin")).await.refused(401, "UserNeeded");
        assert_eq!(world.halves(&team).await, (vec![], vec![]));
    });
}

#[test]
fn a_user_is_the_header_less_the_prefix() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&["-userid-prefix", "accounts.google.com:"]).await;
        kfam.ready().await;
        let ask = async |user: &str| kfam.get(Who::User(user), "/kfam/v1/role/clusteradmin").await;
        assert_eq!(ask(&format!("accounts.google.com:{ADMIN}")).await.text, "true");
        assert_eq!(ask("accounts.google.com:jane").await.text, "false");
        for wrong in [ADMIN, "accounts.google.com:", "accounts.google.com", "x", "Accounts.google.com:jane"] {
            ask(wrong).await.refused(401, "BadUser");
        }
    });
}

#[test]
fn a_header_that_is_not_text_is_refused() {
    run(async {
        let (_, kfam) = shared().await;
        for (name, value, word) in [(USER, b"\xff\xfe".as_slice(), "BadUser"), (PEER, b"URI=\xff", "NoPeer")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(PEER, certificate(GATEWAY).parse().unwrap());
            headers.insert(USER, HeaderValue::from_static("jane"));
            headers.insert(name, HeaderValue::from_bytes(value).unwrap());
            let answer =
                kfam.send(Method::GET, "/kfam/v1/bindings", headers, bytes::Bytes::new()).await.unwrap();
            answer.refused(401, word);
        }
    });
}

#[test]
fn headers_without_end_and_nonsense_are_turned_away_and_others_are_served() {
    run(async {
        let (_, kfam) = shared().await;
        let many: String = (0..2000).map(|number| format!("x-{number}: y\r\n")).collect();
        let long = format!("x: {}\r\n", "y".repeat(200_000));
        for headers in [&many, &long] {
            let answer = raw(kfam, &format!("GET /kfam/ HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
                "{}",
                &answer[..answer.len().min(80)]
            );
        }
        for nonsense in [
            "\r\n\r\n",
            "\0\0\0\0\r\n\r\n",
            "GET\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let answer = raw(kfam, nonsense).await;
            assert!(
                !answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 5"),
                "{nonsense:?}: {answer}"
            );
        }
        assert_eq!(kfam.get(Who::Headers(&[]), "/kfam/").await.code(), 200);
    });
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let gateway = certificate(GATEWAY);
        for site in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
        ] {
            let headers = [(PEER, gateway.as_str()), (USER, &owner), site];
            kfam.share(Who::Headers(&headers), binding(&team, "eve@example.com", "admin"))
                .await
                .refused(403, "CrossSite");
            kfam.delete_profile(Who::Headers(&headers), &team).await.refused(403, "CrossSite");
        }
        let headers = [(PEER, gateway.as_str()), (USER, &owner), ("sec-fetch-site", "same-origin")];
        kfam.share(Who::Headers(&headers), binding(&team, "pal@example.com", "view")).await.done();
    });
}

#[test]
fn whoever_trusts_all_callers_is_warned_and_answers_as_the_reference_does() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&["--trust-all-callers"]).await;
        kfam.ready().await;
        assert_eq!(kfam.logged("--trust-all-callers").await["level"], "WARN");
        kfam.register(Who::Headers(&[]), "jane", "jane@example.com").await.done();
        kfam.delete_profile(Who::Headers(&[]), "jane").await.refused(401, "UserNeeded");
        kfam.delete_profile(Who::Headers(&[(USER, "joe@example.com")]), "jane")
            .await
            .refused(403, "Forbidden");
        kfam.delete_profile(Who::Headers(&[(USER, "jane@example.com")]), "jane").await.done();
        kfam.get(Who::Headers(&[(USER, "")]), "/kfam/v1/bindings").await.refused(401, "BadUser");
    });
}

/// Sends bytes and reads what comes until the connection is closed.
async fn raw(kfam: &Kfam, request: &str) -> String {
    let mut connection = TcpStream::connect(&kfam.address).await.unwrap();
    // The other side may stop to listen before everything is sent.
    let _ = connection.write_all(request.as_bytes()).await;
    let _ = connection.shutdown().await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
