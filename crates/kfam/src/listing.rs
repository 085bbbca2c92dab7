//! The answer to a question for bindings: written piece by piece, so that a long list takes no memory to speak of.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use profile_render::contributor::Role;
use serde::Serialize;

use crate::index::Binding;

/// How many bindings are written at a time.
const PIECE: usize = 500;

/// A binding as it is written; what a [`WireBinding`](crate::wire::WireBinding) reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    user: WrittenSubject<'a>,
    referred_namespace: &'a str,
    #[serde(rename = "RoleRef")]
    role_ref: WrittenRole,
}

#[derive(Serialize)]
struct WrittenSubject<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRole {
    api_group: &'static str,
    kind: &'static str,
    name: &'static str,
}

/// The bindings as the body of an answer: `{"bindings":[…]}`.
pub(crate) fn answer(bindings: Vec<Arc<Binding>>) -> Response {
    let body = if bindings.len() <= PIECE {
        let mut text = begin();
        write(&mut text, &bindings, true);
        text.extend_from_slice(b"]}");
        Body::from(text)
    } else {
        Body::from_stream(stream::unfold((bindings, 0), |(bindings, from)| async move {
            if from > bindings.len() {
                return None;
            }
            let end = (from + PIECE).min(bindings.len());
            let mut text = if from == 0 { begin() } else { Vec::new() };
            write(&mut text, &bindings[from..end], from == 0);
            let next = if end == bindings.len() {
                text.extend_from_slice(b"]}");
                end + 1
            } else {
                end
            };
            Some((Ok::<_, Infallible>(Bytes::from(text)), (bindings, next)))
        }))
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn begin() -> Vec<u8> {
    b"{\"bindings\":[".to_vec()
}

fn write(text: &mut Vec<u8>, bindings: &[Arc<Binding>], mut first: bool) {
    for binding in bindings {
        if !std::mem::take(&mut first) {
            text.push(b',');
        }
        // Text keys and no failing serializers: this cannot fail.
        let _ = serde_json::to_writer(&mut *text, &written(binding));
    }
}

fn written(binding: &Binding) -> Written<'_> {
    Written {
        user: WrittenSubject {
            kind: binding.kind.as_str(),
            name: &binding.user,
            namespace: binding.user_namespace.as_deref(),
        },
        referred_namespace: &binding.namespace,
        role_ref: WrittenRole { api_group: "", kind: "ClusterRole", name: Role::as_str(binding.role) },
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use profile_render::Owner;
    use serde_json::json;

    use super::*;
    use crate::{
        index::{Index, NewBinding, NewProfile},
        wire::{WireBinding, WireBindings},
    };

    fn index(count: usize) -> Index {
        let index = Index::default();
        index.insert_profile(NewProfile {
            name: "team".to_owned(),
            uid: String::new(),
            owner: None,
            ready: None,
            reason: String::new(),
            message: String::new(),
            terminating: false,
            resource_version: 1.into(),
        });
        for number in 0..count {
            index.insert_binding(NewBinding {
                namespace: "team".to_owned(),
                name: format!("b{number}"),
                subject: Owner::ServiceAccount { namespace: "\"ci\"".to_owned(), name: format!("r{number}") },
                role: Role::Edit,
                managed: false,
                resource_version: 1.into(),
            });
        }
        index
    }

    #[tokio::test]
    async fn a_list_of_any_length_is_whole() {
        for count in [0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1] {
            let body = answer(index(count).bindings()).into_body().collect().await.unwrap().to_bytes();
            let read: WireBindings = serde_json::from_slice(&body).unwrap();
            assert_eq!(read.bindings.len(), count);
            for (number, binding) in read.bindings.into_iter().enumerate() {
                let subject =
                    Owner::ServiceAccount { namespace: "\"ci\"".to_owned(), name: format!("r{number}") };
                assert_eq!(json!(binding), json!(WireBinding::new(&subject, Role::Edit, "team")));
            }
        }
    }
}
