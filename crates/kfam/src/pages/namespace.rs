//! One namespace: how it is, who has access, and changes to that.

use std::sync::Arc;

use askama::{Template, filters::urlencode_strict};
use axum::{extract::State, http::StatusCode, response::Response};
use profile_api::SubjectKind;
use profile_render::contributor::Role;

use super::{
    BASE,
    chrome::{self, Chrome, Done, Flash, go_on, show_with},
    form::{Asked, Named, Person, Sent, asked, named, sent},
    protect::sentence,
    visitor::Visitor,
    words::{kind_text, role_text},
};
use crate::{
    app::App,
    error::ApiError,
    index::{Binding, ProfileEntry},
    overview::{Limits, look_again_after},
};

const KINDS: [SubjectKind; 3] = [SubjectKind::User, SubjectKind::Group, SubjectKind::ServiceAccount];
/// What most people share with comes first.
const ROLES: [Role; 3] = [Role::Edit, Role::View, Role::Admin];

#[derive(Template)]
#[template(path = "namespace.html")]
struct NamespacePage {
    chrome: Chrome,
    profile: Arc<ProfileEntry>,
    limits: Limits,
    people: Vec<Listed>,
    may_share: bool,
    live: Option<u8>,
    given: Person,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "remove.html")]
struct RemovePage {
    chrome: Chrome,
    namespace: String,
    given: Person,
    is_caller: bool,
}

/// Somebody's access, as a line.
struct Listed {
    binding: Arc<Binding>,
    is_caller: bool,
}

impl Listed {
    /// As it is typed in the form: service accounts with their namespace.
    fn shown_name(&self) -> String {
        match &self.binding.user_namespace {
            Some(home) => format!("{home}/{}", self.binding.user),
            None => self.binding.user.to_string(),
        }
    }

    fn query(&self) -> String {
        let name = self.shown_name();
        let name = urlencode_strict(&name).map_or_else(|never| match never {}, |name| name.to_string());
        format!("kind={}&name={name}&role={}", self.binding.kind.as_str(), self.binding.role)
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    name: Named,
    query: Asked<Done>,
) -> Result<Response, ApiError> {
    let flash = asked(query)?.flash();
    let mut page = page(&app, &visitor, &named(name)?).await?;
    page.chrome = page.chrome.with(flash);
    chrome::show(&page)
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    name: Named,
    form: Sent<Person>,
) -> Result<Response, ApiError> {
    let (namespace, person) = (named(name)?, sent(form)?);
    match app.service().add_binding(&visitor.caller, person.binding(&namespace)).await {
        Ok(shared) => go_on(&path(&namespace), Flash::of(shared)),
        Err(error) => again(&app, &visitor, &namespace, person, error).await,
    }
}

pub(super) async fn change_role(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    name: Named,
    form: Sent<Person>,
) -> Result<Response, ApiError> {
    let (namespace, person) = (named(name)?, sent(form)?);
    let to = Role::parse(&person.to)
        .ok_or_else(|| ApiError::malformed("the role is not one of view, edit and admin"))?;
    app.service().change_role(&visitor.caller, person.binding(&namespace), to).await?;
    go_on(&path(&namespace), Flash::Changed)
}

/// Asks before somebody is removed.
pub(super) async fn ask_remove(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    name: Named,
    query: Asked<Person>,
) -> Result<Response, ApiError> {
    let (namespace, given) = (named(name)?, asked(query)?);
    let view = app.service().namespace(&visitor.caller, &namespace)?;
    let known = view.bindings.into_iter().map(|binding| Listed { binding, is_caller: false });
    let mut known =
        known.filter(|it| it.binding.kind.as_str() == given.kind && it.shown_name() == given.name);
    if !known.any(|it| it.binding.role.as_str() == given.role) {
        let message = format!("{} does not have the role {} in {namespace}", given.name, given.role);
        return Err(ApiError::not_found(message));
    }
    let is_caller = given.is_user(visitor.user());
    chrome::show(&RemovePage { chrome: Chrome::new(Some(&visitor), ""), namespace, given, is_caller })
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    name: Named,
    form: Sent<Person>,
) -> Result<Response, ApiError> {
    let (namespace, person) = (named(name)?, sent(form)?);
    app.service().remove_binding(&visitor.caller, person.binding(&namespace)).await?;
    let still_sees_it = app.service().namespace(&visitor.caller, &namespace).is_ok();
    let next = if still_sees_it { path(&namespace) } else { BASE.to_owned() };
    go_on(&next, Flash::Removed)
}

fn path(namespace: &str) -> String {
    format!("/kfam/ui/namespaces/{namespace}")
}

async fn page(app: &App, visitor: &Visitor, name: &str) -> Result<NamespacePage, ApiError> {
    let view = app.service().namespace(&visitor.caller, name)?;
    let limits = app.service().limits(&view.profile).await;
    let people = view.bindings.iter().cloned().map(|binding| {
        let is_caller = crate::service::is_user_binding(&binding, visitor.user());
        Listed { binding, is_caller }
    });
    // Word of the owner's access may come a moment after word that all is in place.
    let late = (view.bindings.is_empty() && view.profile.ready == Some(true)).then_some(1);
    Ok(NamespacePage {
        chrome: Chrome::new(Some(visitor), ""),
        limits,
        people: people.collect(),
        // Until then there is nothing to share.
        may_share: view.may_share && view.profile.ready.is_some(),
        live: look_again_after(&view.profile).or(late),
        profile: view.profile,
        given: Person::default(),
        problem: None,
    })
}

/// The page again, with what is wrong with the form.
async fn again(
    app: &App,
    visitor: &Visitor,
    namespace: &str,
    given: Person,
    error: ApiError,
) -> Result<Response, ApiError> {
    let has_no_form = matches!(error.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let Some(page) = page(app, visitor, namespace).await.ok().filter(|page| page.may_share && !has_no_form)
    else {
        return Err(error);
    };
    let problem = Some(sentence(&error.message));
    show_with(error.status, &NamespacePage { given, problem, ..page })
}
