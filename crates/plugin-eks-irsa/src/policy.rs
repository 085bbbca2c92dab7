//! Trust policies: who may act as a role. What is changed is one subject in the one statement that is about our OIDC provider;
//! everything else stays as it is, in its order. Pure.
//!
//! The grammar of IAM lets one value stand for a list of one. A change keeps the form that there was, and undoing it gives the
//! form back: the new value goes behind a list, but in front of what was no list.

use crate::Json;

/// What a token has to be made for.
pub const AUDIENCE: &str = "sts.amazonaws.com";
const ACTION: &str = "sts:AssumeRoleWithWebIdentity";
/// What there is between an account and an issuer in the ARN of an OIDC provider.
const PROVIDER: &str = ":oidc-provider/";
/// The operators under which a statement names subjects and audiences, one value or a list.
const EQUALS: &str = "StringEquals";
const LIKE: &str = "StringLike";
/// The operators of a condition, if we know their meaning.
const OPERATORS: [&str; 2] = [EQUALS, LIKE];

/// A subject of an OIDC provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// ARN of the provider.
    pub provider: &'a str,
    /// The subject, such as `system:serviceaccount:jane:default-editor`. It holds no wildcard.
    pub subject: &'a str,
}

/// A trust policy that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has no list of statements")]
pub struct NoStatements;

/// Lets an identity in. Nothing is changed if the policy does so already.
///
/// # Errors
/// The document is no policy.
pub fn grant(policy: &mut Json, identity: &Identity<'_>) -> Result<(), NoStatements> {
    let statements = policy.get_mut("Statement").ok_or(NoStatements)?;
    if statements.one_or_more().iter().any(|statement| lets_in(statement, identity)) {
        return Ok(());
    }
    let subject = identity.key("sub");
    let subjects = statements.one_or_more_mut().iter_mut().find_map(|statement| {
        let operator = names_subjects(statement, identity)?;
        value_mut(statement, &["Condition", operator, &subject])
    });
    match subjects {
        Some(subjects) => add(subjects, identity.subject.into()),
        None => add(statements, statement_for(identity)),
    }
    Ok(())
}

/// Lets an identity in no more. Who else is let in stays so: where a wildcard lets it in too, that is left.
///
/// # Errors
/// The document is no policy.
pub fn revoke(policy: &mut Json, identity: &Identity<'_>) -> Result<(), NoStatements> {
    let statements = policy.get_mut("Statement").ok_or(NoStatements)?;
    let mut without_subject = Vec::new();
    for (index, statement) in statements.one_or_more_mut().iter_mut().enumerate() {
        if is_for(statement, identity.provider) && remove_subject(statement, identity) {
            without_subject.push(index);
        }
    }
    for index in without_subject.into_iter().rev() {
        remove_at(statements, index);
    }
    if statements.one_or_more().is_empty() {
        // IAM takes no policy without a statement.
        *statements = Json::Array(vec![nobody()]);
    }
    Ok(())
}

/// The OIDC providers that a policy names, each once.
pub fn providers(policy: &Json) -> Vec<&str> {
    let mut providers: Vec<&str> = Vec::new();
    for statement in policy.get("Statement").map(Json::one_or_more).unwrap_or_default() {
        for provider in federated(statement).iter().filter_map(Json::as_str) {
            if provider.contains(PROVIDER) && !providers.contains(&provider) {
                providers.push(provider);
            }
        }
    }
    providers
}

impl Identity<'_> {
    /// The key of a condition: issuer and name of a claim.
    fn key(&self, claim: &str) -> String {
        let issuer = self.provider.split_once(PROVIDER).map_or(self.provider, |(_, issuer)| issuer);
        format!("{issuer}:{claim}")
    }
}

/// Whether a statement lets an identity in, with tokens for [`AUDIENCE`].
fn lets_in(statement: &Json, identity: &Identity<'_>) -> bool {
    let names_provider =
        federated(statement).iter().any(|provider| provider.as_str() == Some(identity.provider));
    if !names_provider || !allows_web_identity(statement) || !names_audience(statement, identity) {
        return false;
    }
    let (subject, audience) = (identity.key("sub"), identity.key("aud"));
    match operators_of(statement, &subject).as_slice() {
        // Nothing but the audience is asked for: everybody of this provider is let in.
        [] => conditions(statement).all(|(_, key)| key == audience),
        operators => operators.iter().all(|operator| {
            let subjects = value(statement, &["Condition", operator, &subject]);
            subjects.is_some_and(|subjects| has(operator, subjects, identity.subject))
        }),
    }
}

/// Whether a statement is the one for our provider, in which subjects are listed; under which operator.
fn names_subjects(statement: &Json, identity: &Identity<'_>) -> Option<&'static str> {
    if !is_for(statement, identity.provider) || !names_audience(statement, identity) {
        return None;
    }
    let subject = identity.key("sub");
    let operators = operators_of(statement, &subject);
    // Under two operators, both have to hold.
    let &[operator] = operators.as_slice() else { return None };
    let known = OPERATORS.into_iter().find(|known| *known == operator)?;
    let subjects = value(statement, &["Condition", operator, &subject])?.one_or_more();
    (!subjects.is_empty()).then_some(known)
}

/// Whether a statement allows a provider, and no other principal, to vouch for users of the role.
fn is_for(statement: &Json, provider: &str) -> bool {
    let only = matches!(federated(statement), [one] if one.as_str() == Some(provider));
    let principal = statement.get("Principal").map(Json::fields).unwrap_or_default();
    only && principal.len() == 1 && allows_web_identity(statement)
}

fn allows_web_identity(statement: &Json) -> bool {
    let actions = statement.get("Action").map(Json::one_or_more).unwrap_or_default();
    statement.get("Effect").and_then(Json::as_str) == Some("Allow")
        && actions.iter().filter_map(Json::as_str).any(|action| action.eq_ignore_ascii_case(ACTION))
}

fn names_audience(statement: &Json, identity: &Identity<'_>) -> bool {
    let audience = identity.key("aud");
    let operators = operators_of(statement, &audience);
    !operators.is_empty()
        && operators.iter().all(|operator| {
            let audiences = value(statement, &["Condition", operator, &audience]);
            audiences.is_some_and(|audiences| has(operator, audiences, AUDIENCE))
        })
}

fn federated(statement: &Json) -> &[Json] {
    value(statement, &["Principal", "Federated"]).map(Json::one_or_more).unwrap_or_default()
}

/// The operators under which a statement's condition has a key. IAM takes keys in any case, and so has to be what we compare.
fn operators_of<'a>(statement: &'a Json, key: &str) -> Vec<&'a str> {
    let with_key = conditions(statement).filter(|(_, other)| other.eq_ignore_ascii_case(key));
    with_key.map(|(operator, _)| operator).collect()
}

/// Operators and keys of a statement's condition.
fn conditions(statement: &Json) -> impl Iterator<Item = (&str, &str)> {
    let condition = statement.get("Condition").map(Json::fields).unwrap_or_default();
    condition.iter().flat_map(|(operator, keys)| {
        keys.fields().iter().map(move |(key, _)| (operator.as_str(), key.as_str()))
    })
}

/// Whether a value is among those that a condition takes. Of an operator that is not known it cannot be said.
fn has(operator: &str, values: &Json, value: &str) -> bool {
    let mut values = values.one_or_more().iter().filter_map(Json::as_str);
    match operator {
        EQUALS => values.any(|other| other == value),
        LIKE => values.any(|pattern| matches(pattern, value)),
        _ => false,
    }
}

/// IAM's wildcards: `*` for any text, `?` for any character.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern_rest.as_str();
            text.char_indices().any(|(at, _)| matches(rest, &text[at..])) || matches(rest, "")
        }
        Some(expected) => {
            let mut text_rest = text.chars();
            let next = text_rest.next();
            next.is_some_and(|next| expected == '?' || expected == next)
                && matches(pattern_rest.as_str(), text_rest.as_str())
        }
    }
}

/// Takes a subject out of a statement; whether none is left, so that the statement has to go: without its list of subjects it
/// would let in everybody of the provider.
fn remove_subject(statement: &mut Json, identity: &Identity<'_>) -> bool {
    for operator in OPERATORS {
        let Some(subjects) = value_mut(statement, &["Condition", operator, &identity.key("sub")]) else {
            continue;
        };
        let is_subject = |value: &Json| value.as_str() == Some(identity.subject);
        while let Some(index) = subjects.one_or_more().iter().position(is_subject) {
            if subjects.one_or_more().len() == 1 {
                return true;
            }
            remove_at(subjects, index);
        }
    }
    false
}

fn statement_for(identity: &Identity<'_>) -> Json {
    let object = |fields: Vec<(&str, Json)>| {
        Json::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let keys = [(identity.key("sub"), identity.subject.into()), (identity.key("aud"), AUDIENCE.into())];
    object(vec![
        ("Effect", "Allow".into()),
        ("Principal", object(vec![("Federated", identity.provider.into())])),
        ("Action", ACTION.into()),
        ("Condition", object(vec![(EQUALS, Json::Object(keys.to_vec()))])),
    ])
}

/// A statement that changes nothing about who is let in.
fn nobody() -> Json {
    let text = r#"{"Sid":"NobodyLeft","Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}"#;
    serde_json::from_str(text).unwrap_or(Json::Null)
}

/// Adds a value to one value or a list of them.
fn add(values: &mut Json, value: Json) {
    match values {
        Json::Array(values) => values.push(value),
        one => {
            let other = std::mem::replace(one, Json::Null);
            *one = Json::Array(vec![value, other]);
        }
    }
}

/// Removes what [`add`] added.
fn remove_at(values: &mut Json, index: usize) {
    match values {
        Json::Array(list) => {
            list.remove(index);
            if index == 0 && list.len() == 1 {
                *values = list.remove(0);
            }
        }
        one => *one = Json::Array(Vec::new()),
    }
}

fn value<'a>(json: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(json, |value, field| value.get(field))
}

fn value_mut<'a>(json: &'a mut Json, path: &[&str]) -> Option<&'a mut Json> {
    path.iter().try_fold(json, |value, field| value.get_mut(field))
}
