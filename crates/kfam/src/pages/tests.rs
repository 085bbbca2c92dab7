//! The pages without a cluster: what they show to whom, what they refuse, and that nothing that somebody is called becomes part of
//! a page.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use profile_render::{Owner, PlatformConfig, contributor::Role};
use tower::ServiceExt;

use super::chrome::Flash;
use crate::{
    app::{App, router},
    identity::{CLIENT_CERT_HEADER, IdentityConfig},
    index::{Index, NewBinding, NewProfile},
    metrics::Metrics,
    service::{Service, ServiceConfig},
};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&{{7*7}}</script>";
const ADMIN: &str = "root";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

/// A service that knows of one Profile, `team`, of somebody with a hostile name, who shares it with others like that.
fn pages() -> Router {
    let index = Index::default();
    index.begin_profiles();
    index.begin_bindings();
    let hostile = || Owner::User(HOSTILE.to_owned());
    index.insert_profile(NewProfile {
        name: "team".to_owned(),
        uid: "u".to_owned(),
        owner: Some(hostile()),
        ready: Some(false),
        reason: HOSTILE.to_owned(),
        message: HOSTILE.to_owned(),
        terminating: false,
        resource_version: 1.into(),
    });
    let account = Owner::ServiceAccount { namespace: HOSTILE.to_owned(), name: HOSTILE.to_owned() };
    for (name, subject, role, managed) in [
        ("namespaceAdmin", hostile(), Role::Admin, true),
        ("a", Owner::Group(HOSTILE.to_owned()), Role::View, false),
        ("b", account, Role::View, false),
        ("c", Owner::User("ed".to_owned()), Role::Edit, false),
    ] {
        let binding = NewBinding {
            namespace: "team".to_owned(),
            name: name.to_owned(),
            subject,
            role,
            managed,
            resource_version: 1.into(),
        };
        index.insert_binding(binding);
    }
    index.end_profiles();
    index.end_bindings();
    // Nobody answers there: limits cannot be read.
    let client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let config = ServiceConfig {
        platform: PlatformConfig::default(),
        cluster_admins: [ADMIN.to_owned()].into(),
        max_profiles_per_user: None,
    };
    let identity = IdentityConfig {
        userid_header: "userid".to_owned(),
        userid_prefix: String::new(),
        trusted: vec!["gateway".to_owned(), "dashboard".to_owned()],
        dashboards: vec!["dashboard".to_owned()],
        trust_all: false,
    };
    let service = Service::new(config, Arc::new(index), client);
    router(Arc::new(App::new(service, identity, Arc::new(Metrics::new().unwrap()))))
}

async fn call(
    pages: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "kf.example");
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    let response = pages.clone().oneshot(request.body(Body::from(body.into())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

async fn get(pages: &Router, user: &str, path: &str) -> Answer {
    let headers = [(CLIENT_CERT_HEADER, "URI=spiffe://gateway"), ("userid", user)];
    call(pages, Method::GET, path, &headers, "").await
}

async fn post(pages: &Router, user: &str, path: &str, from: &[(&str, &str)], form: &str) -> Answer {
    let mut headers = vec![
        (CLIENT_CERT_HEADER, "URI=spiffe://gateway"),
        ("userid", user),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    headers.extend_from_slice(from);
    call(pages, Method::POST, path, &headers, form).await
}

fn encoded(text: &str) -> String {
    askama::filters::urlencode_strict(text).unwrap().to_string()
}

#[tokio::test]
async fn what_somebody_is_called_is_never_part_of_a_page() {
    let pages = pages();
    let name = encoded(HOSTILE);
    let mut seen = String::new();
    for (user, path) in [
        (HOSTILE, "/kfam/ui/".to_owned()),
        (HOSTILE, "/kfam/ui/register".to_owned()),
        (HOSTILE, "/kfam/ui/namespaces/team".to_owned()),
        (HOSTILE, format!("/kfam/ui/namespaces/{name}")),
        (HOSTILE, format!("/kfam/ui/namespaces/team/remove?kind=Group&name={name}&role=view")),
        (HOSTILE, format!("/kfam/ui/namespaces/team/remove?kind=User&name={name}&role={name}")),
        (HOSTILE, format!("/kfam/ui/?done={name}")),
        (ADMIN, format!("/kfam/ui/profiles?q={name}&state={name}")),
        (ADMIN, "/kfam/ui/profiles?q=&state=not-ready".to_owned()),
    ] {
        let page = get(&pages, user, &path).await;
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
        assert!(!page.text.contains("<img src=x"), "{path}: {}", page.text);
        assert!(!page.text.contains("onerror=alert(1)>"), "{path}: {}", page.text);
        assert!(!page.text.contains("</script>\""), "{path}: {}", page.text);
        seen += &page.text;
    }
    let own = [("sec-fetch-site", "same-origin")];
    for path in ["/kfam/ui/register", "/kfam/ui/namespaces/team/add"] {
        let page = post(&pages, HOSTILE, path, &own, &format!("name={name}&kind={name}&role={name}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text);
        assert!(!page.text.contains("<img src=x"), "{path}: {}", page.text);
        seen += &page.text;
    }
    assert!(seen.contains("&#60;img src=x"), "it is shown, as text");
    let checked = get(&pages, HOSTILE, &format!("/kfam/ui/register/check?name={name}")).await;
    assert_eq!(checked.headers["content-type"], "application/json");
}

#[tokio::test]
async fn every_answer_says_what_a_page_may_load_and_who_may_frame_it() {
    let pages = pages();
    for (user, path) in [
        ("ed", "/kfam/ui/"),
        ("ed", "/kfam/ui/nothing-here"),
        ("", "/kfam/ui/"),
        ("ed", "/kfam/ui/assets/x.js"),
    ] {
        let page = get(&pages, user, path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'self'", "form-action 'self'"]
        {
            assert!(policy.split("; ").any(|it| it == part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert!(!page.text.contains("<style") && !page.text.contains(" style="), "{path}");
        assert!(!page.text.contains("<script>") && !page.text.contains(" onclick="), "{path}");
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{path}: an outside host");
    }
    let api = get(&pages, "ed", "/kfam/v1/bindings").await;
    assert!(!api.headers.contains_key("content-security-policy"), "the API is as it was");
}

#[tokio::test]
async fn what_a_page_loads_is_there_and_may_be_kept_for_ever() {
    let pages = pages();
    let home = get(&pages, "ed", "/kfam/ui/").await;
    assert_eq!(home.headers["cache-control"], "no-store");
    let links: Vec<&str> = home.text.split('"').filter(|text| text.starts_with("/kfam/ui/assets/")).collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        let asset = get(&pages, "ed", link).await;
        assert_eq!(asset.status, StatusCode::OK, "{link}");
        assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"), "{link}");
        assert!(!asset.text.is_empty());
    }
    assert_eq!(
        get(&pages, "ed", "/kfam/ui/assets/style-000000000000.css").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused() {
    let pages = pages();
    for path in ["register", "namespaces/team/add", "namespaces/team/role", "namespaces/team/remove"] {
        let path = format!("/kfam/ui/{path}");
        for from in [
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")][..],
            &[("sec-fetch-site", "same-site"), ("origin", "https://kf.example")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("referer", "https://evil.example/kf.example")],
            &[],
        ] {
            let page = post(&pages, HOSTILE, &path, from, "name=x&kind=User&role=view&to=edit").await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {from:?}");
            assert!(page.text.contains("CrossSite") && page.text.contains("<h1>"), "{}", page.text);
        }
        for from in [("sec-fetch-site", "same-origin"), ("origin", "https://kf.example")] {
            let page = post(&pages, HOSTILE, &path, &[from], "").await;
            assert!(!page.text.contains("CrossSite"), "{path} {from:?}");
        }
    }
}

#[tokio::test]
async fn errors_are_pages_with_the_words_of_the_api() {
    let pages = pages();
    let wrong_peer = [(CLIENT_CERT_HEADER, "URI=spiffe://evil"), ("userid", "ed")];
    let dashboard = [(CLIENT_CERT_HEADER, "URI=spiffe://dashboard")];
    for (page, status, word) in [
        (get(&pages, "ed", "/kfam/ui/nothing-here").await, 404, "NotFound"),
        (get(&pages, "ed", "/kfam/ui/profiles").await, 403, "Forbidden"),
        (get(&pages, "eve", "/kfam/ui/namespaces/team").await, 403, "Forbidden"),
        (get(&pages, "eve", "/kfam/ui/namespaces/none").await, 403, "Forbidden"),
        (get(&pages, ADMIN, "/kfam/ui/namespaces/none").await, 404, "NotFound"),
        (get(&pages, "", "/kfam/ui/").await, 401, "BadUser"),
        (call(&pages, Method::GET, "/kfam/ui/", &[], "").await, 401, "NoPeer"),
        (call(&pages, Method::GET, "/kfam/ui/", &wrong_peer, "").await, 403, "UntrustedPeer"),
        (call(&pages, Method::GET, "/kfam/ui/", &dashboard, "").await, 401, "NoUser"),
        (call(&pages, Method::DELETE, "/kfam/ui/", &dashboard, "").await, 405, "MethodNotAllowed"),
        (get(&pages, "ed", "/kfam/ui/?page=x").await, 400, "Malformed"),
    ] {
        assert_eq!(page.status.as_u16(), status, "{}", page.text);
        assert!(page.text.contains("<h1>") && page.text.contains(word), "{}", page.text);
    }
    let here = &[("sec-fetch-site", "same-origin")];
    let json = post(&pages, "ed", "/kfam/ui/register", here, &format!("name={}", "x".repeat(70_000))).await;
    assert_eq!(json.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(json.text.contains("<h1>"), "{}", json.text);
}

#[tokio::test]
async fn who_may_not_share_has_no_form_and_is_refused_without_it() {
    let pages = pages();
    let page = get(&pages, "ed", "/kfam/ui/namespaces/team").await;
    assert!(!page.text.contains("<form") && !page.text.contains("/remove"), "{}", page.text);
    assert!(get(&pages, HOSTILE, "/kfam/ui/namespaces/team").await.text.contains("<form"));
    assert!(get(&pages, ADMIN, "/kfam/ui/namespaces/team").await.text.contains("<form"));
    let here = &[("sec-fetch-site", "same-origin")];
    for (path, form) in [
        ("add", "kind=User&name=x&role=view"),
        ("role", "kind=User&name=ed&role=edit&to=admin"),
        ("remove", "kind=User&name=ed&role=edit"),
    ] {
        let page = post(&pages, "ed", &format!("/kfam/ui/namespaces/team/{path}"), here, form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn a_role_that_somebody_else_has_changed_meanwhile_is_not_changed() {
    let here = &[("sec-fetch-site", "same-origin")];
    let form = "kind=User&name=ed&role=view&to=admin";
    let page = post(&pages(), ADMIN, "/kfam/ui/namespaces/team/role", here, form).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.text);
    assert!(page.text.contains("look again"), "{}", page.text);
}

#[tokio::test]
async fn limits_that_cannot_be_read_do_not_take_the_page_away() {
    let pages = pages();
    for path in ["/kfam/ui/", "/kfam/ui/namespaces/team"] {
        let page = get(&pages, "ed", path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("cannot be read now"), "{}", page.text);
    }
}

#[test]
fn what_has_been_done_goes_through_the_address_as_a_code() {
    for flash in Flash::ALL {
        assert_eq!(Flash::parse(flash.code()), Some(flash));
        assert!(flash.code().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        assert!(flash.text().ends_with('.'));
    }
    assert_eq!(Flash::parse("Your session has ended: sign in at evil.example"), None);
}
