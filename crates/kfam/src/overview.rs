//! Use cases of the pages that the API does not have: what a user has, how a namespace is, all Profiles, another role.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use profile_render::contributor::Role;

use crate::{
    authorise::{Action, Standing, authorise},
    error::ApiError,
    identity::Caller,
    index::{Binding, ProfileEntry},
    quota::{self, Limit},
    service::{BindingQuery, Service, is_user_binding, no_profile},
    sharing::Shared,
    wire::{Sharing, WireBinding},
};

/// How long a page waits for a quota; without it the page is of use too.
const QUOTA_TIMEOUT: Duration = Duration::from_secs(2);

/// After how many seconds a page looks again: soon while a Profile is being set up or deleted, later when something has to be done
/// about it first.
pub(crate) fn look_again_after(profile: &ProfileEntry) -> Option<u8> {
    match profile.ready {
        _ if profile.terminating => Some(2),
        None => Some(1),
        Some(false) => Some(10),
        Some(true) => None,
    }
}

/// A namespace that a user has something to do with.
pub(crate) struct Membership {
    pub(crate) profile: Arc<ProfileEntry>,
    pub(crate) owner: bool,
    pub(crate) role: Option<Role>,
}

/// How a namespace is, as far as the caller may see it.
pub(crate) struct NamespaceView {
    pub(crate) profile: Arc<ProfileEntry>,
    /// Whether the caller may share it.
    pub(crate) may_share: bool,
    /// Who has access: everybody, or what the caller has.
    pub(crate) bindings: Vec<Arc<Binding>>,
}

/// The limits of a namespace.
pub(crate) enum Limits {
    /// There are these.
    Known(Vec<Limit>),
    /// There are none.
    Nothing,
    /// They could not be read now.
    Unknown,
    /// There cannot be any yet, as the namespace is not there.
    NotAsked,
}

/// Which Profiles are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateFilter {
    Any,
    Ready,
    NotReady,
}

impl Service {
    /// The namespaces that a user owns or that are shared with them, by name.
    pub(crate) fn memberships(&self, caller: &Caller) -> Result<Vec<Membership>, ApiError> {
        self.filled()?;
        let user = caller.user().unwrap_or_default();
        let owned = self.index().profiles_of(user).into_iter().filter(|profile| {
            profile.owner.as_ref().is_some_and(|owner| crate::service::is_user(owner, user))
        });
        let shared = self.index().bindings_of(user).into_iter().filter(|it| is_user_binding(it, user));
        let shared = shared.filter_map(|binding| self.index().profile(&binding.namespace));
        let all: BTreeMap<Arc<str>, Arc<ProfileEntry>> =
            owned.chain(shared).map(|profile| (profile.name.clone(), profile)).collect();
        let memberships = all.into_values().map(|profile| {
            let Standing { owner, role } = self.standing(caller, &profile.name);
            Membership { profile, owner, role }
        });
        Ok(memberships.collect())
    }

    /// How a namespace is: for its owner, those with whom it is shared, and cluster admins.
    ///
    /// # Errors
    /// For everybody else, who do not learn whether it is there.
    pub(crate) fn namespace(&self, caller: &Caller, name: &str) -> Result<NamespaceView, ApiError> {
        self.filled()?;
        let standing = self.standing(caller, name);
        authorise(self.party(caller), Action::SeeProfile, standing)
            .map_err(|denial| ApiError::denied(denial, &format!("see Profile {name}")))?;
        let profile = self.index().profile(name).ok_or_else(|| no_profile(name))?;
        let query = BindingQuery { namespace: Some(name.to_owned()), ..BindingQuery::default() };
        let mut bindings = self.bindings(caller, &query)?;
        // The owner first, then by name.
        bindings.sort_by(|a, b| (!a.managed, &a.user, a.role).cmp(&(!b.managed, &b.user, b.role)));
        let may_share = authorise(self.party(caller), Action::Share(Role::View), standing).is_ok();
        Ok(NamespaceView { profile, may_share, bindings })
    }

    /// The limits of a namespace and how much of them is used. Whoever sees the namespace may see them.
    pub(crate) async fn limits(&self, profile: &ProfileEntry) -> Limits {
        if profile.ready.is_none() {
            return Limits::NotAsked;
        }
        match tokio::time::timeout(QUOTA_TIMEOUT, self.cluster().quota(&profile.name)).await {
            Ok(Ok(None)) => Limits::Nothing,
            Ok(Ok(Some(quota))) => match quota::limits(quota, &profile.name) {
                limits if limits.is_empty() => Limits::Nothing,
                limits => Limits::Known(limits),
            },
            Ok(Err(error)) => {
                tracing::warn!(profile = &*profile.name, "cannot show limits: {}", error.message);
                Limits::Unknown
            }
            Err(_) => Limits::Unknown,
        }
    }

    /// The Profiles whose name, owner or reason contains a text, case aside.
    ///
    /// # Errors
    /// For everybody who is not a cluster admin.
    pub(crate) fn search(
        &self,
        caller: &Caller,
        text: &str,
        state: StateFilter,
    ) -> Result<Vec<Arc<ProfileEntry>>, ApiError> {
        self.filled()?;
        authorise(self.party(caller), Action::SeeAllProfiles, Standing::default())
            .map_err(|denial| ApiError::denied(denial, "see all Profiles"))?;
        let text = text.trim().to_lowercase();
        let mut profiles = self.index().profiles();
        profiles.retain(|profile| is_in(profile, state) && matches(profile, &text));
        Ok(profiles)
    }

    /// Gives somebody another role. The new one is given before the old one is taken, so that they are never shut out.
    ///
    /// # Errors
    /// When it is not valid, not allowed, they do not have the old role (any more), or the API server does not do it. Then they may
    /// have both roles, which is to be seen.
    pub(crate) async fn change_role(
        &self,
        caller: &Caller,
        binding: WireBinding,
        to: Role,
    ) -> Result<Shared, ApiError> {
        let Sharing { subject, role, namespace } = binding.clone().check()?;
        let has_it = |it: &Arc<Binding>| {
            it.kind == subject.kind()
                && *it.user == *subject.name()
                && it.user_namespace.as_deref() == subject.namespace()
                && it.role == role
        };
        // Somebody else may have changed it since the page was made. Whoever may not decide over it is told that.
        if self.namespace(caller, &namespace)?.may_share
            && !self.index().bindings_in(&namespace).iter().any(has_it)
        {
            let message =
                format!("{} does not have the role {role} in {namespace}: look again", subject.name());
            return Err(ApiError::not_found(message));
        }
        let mut wanted = binding.clone();
        to.as_str().clone_into(&mut wanted.role_ref.name);
        if wanted == binding {
            return Ok(Shared::Whole);
        }
        let shared = match self.add_binding(caller, wanted).await {
            Err(error) if error.error == "AlreadyExists" => Shared::Whole,
            other => other?,
        };
        self.remove_binding(caller, binding).await?;
        Ok(shared)
    }
}

fn is_in(profile: &ProfileEntry, state: StateFilter) -> bool {
    match state {
        StateFilter::Any => true,
        StateFilter::Ready => profile.ready == Some(true) && !profile.terminating,
        StateFilter::NotReady => profile.ready != Some(true) || profile.terminating,
    }
}

fn matches(profile: &ProfileEntry, text: &str) -> bool {
    let has = |field: &str| field.to_lowercase().contains(text);
    text.is_empty()
        || has(&profile.name)
        || profile.owner.as_ref().is_some_and(|owner| has(owner.name()))
        || has(&profile.reason)
}
