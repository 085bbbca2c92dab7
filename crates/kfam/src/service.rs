//! The use cases, one function each: decide, do, and record. The API and the pages call these.

use std::{collections::BTreeSet, sync::Arc};

use kube::core::ObjectMeta;
use profile_api::ProfileSpec;
use profile_render::{Owner, PlatformConfig, contributor::Role, validate};

use crate::{
    audit::{self, Change},
    authorise::{Action, Denial, Party, Scope, Standing, authorise},
    cluster::{Cluster, Deleted},
    error::ApiError,
    identity::Caller,
    index::{Binding, Index, ProfileEntry},
    locks::Locks,
    sharing::{Shared, Sharer},
    watches::new_profile,
    wire::{Sharing, WireBinding, WireProfile},
};

/// What the platform decides for this service.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// How users are let in, and which names are reserved.
    pub platform: PlatformConfig,
    /// Users who may do everything.
    pub cluster_admins: BTreeSet<String>,
    /// How many Profiles a user may own who is not a cluster admin's choice.
    pub max_profiles_per_user: Option<usize>,
}

/// Which bindings are asked for; what is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingQuery {
    /// Name of the subject.
    pub user: Option<String>,
    /// The Profile.
    pub namespace: Option<String>,
    /// The role as it is spelled on the wire.
    pub role: Option<String>,
}

/// The use cases.
pub struct Service {
    config: ServiceConfig,
    index: Arc<Index>,
    cluster: Cluster,
    sharer: Arc<Sharer>,
    registrations: Locks,
}

impl Service {
    /// A service that works on the cluster of `client` and reads from an index that is kept filled.
    pub fn new(config: ServiceConfig, index: Arc<Index>, client: kube::Client) -> Self {
        let cluster = Cluster::new(client);
        let sharer = Arc::new(Sharer::new(cluster.clone(), index.clone(), config.platform.clone()));
        Self { config, index, cluster, sharer, registrations: Locks::default() }
    }

    /// The settings.
    pub fn config(&self) -> &ServiceConfig {
        &self.config
    }

    /// What is known of the cluster.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The cluster itself.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Whether a user is a cluster admin.
    pub fn is_cluster_admin(&self, user: &str) -> bool {
        self.config.cluster_admins.contains(user)
    }

    /// What the caller is, to this service.
    pub fn party(&self, caller: &Caller) -> Party {
        match caller {
            Caller::Dashboard => Party::Dashboard,
            Caller::User(user) if self.is_cluster_admin(user) => Party::ClusterAdmin,
            Caller::User(_) => Party::User,
        }
    }

    /// What the caller is, to a Profile.
    pub fn standing(&self, caller: &Caller, profile: &str) -> Standing {
        let Some(user) = caller.user() else {
            return Standing::default();
        };
        let owns = |entry: Arc<ProfileEntry>| entry.owner.as_ref().is_some_and(|owner| is_user(owner, user));
        Standing {
            owner: self.index.profile(profile).is_some_and(owns),
            role: self.index.role_of(user, profile),
        }
    }

    /// Creates a Profile.
    ///
    /// # Errors
    /// When it is not valid, not allowed, taken, or the API server does not do it.
    pub async fn create_profile(&self, caller: &Caller, profile: WireProfile) -> Result<(), ApiError> {
        let name = profile.metadata.name.clone();
        let owner = profile.spec.owner.clone();
        let result = self.do_create_profile(caller, profile).await;
        audit::record(caller, Change::CreateProfile { name: &name, owner: &owner }, &result);
        result
    }

    async fn do_create_profile(&self, caller: &Caller, profile: WireProfile) -> Result<(), ApiError> {
        self.filled()?;
        let WireProfile { metadata, spec } = profile;
        let named = ObjectMeta { name: Some(metadata.name.clone()), ..ObjectMeta::default() };
        let valid = validate(&named, &spec, &self.config.platform)?;
        let with_settings = spec != ProfileSpec::owned_by(spec.owner.clone());
        let standing = Standing {
            owner: caller.user().is_some_and(|user| is_user(valid.owner(), user)),
            ..Standing::default()
        };
        let what = format!("create Profile {} for {}", metadata.name, spec.owner.name);
        authorise(self.party(caller), Action::CreateProfile { with_settings }, standing).map_err(
            |denial| match denial {
                Denial::NotYours => ApiError::new(
                    http::StatusCode::FORBIDDEN,
                    "Forbidden",
                    format!("you may not {what}: create one for yourself, or ask a cluster admin"),
                ),
                denial => ApiError::denied(denial, &what),
            },
        )?;
        // One at a time for an owner, so that they are counted.
        let _guard = self.registrations.hold(valid.owner().name().to_owned()).await;
        self.has_room(caller, valid.owner())?;
        let asked = self.index.moment();
        let created = self.cluster.create_profile(&metadata.name, spec).await?;
        self.index.profile_written(new_profile(created), asked);
        Ok(())
    }

    fn has_room(&self, caller: &Caller, owner: &Owner) -> Result<(), ApiError> {
        let (Some(limit), Owner::User(user)) = (self.config.max_profiles_per_user, owner) else {
            return Ok(());
        };
        if self.party(caller) == Party::ClusterAdmin || self.index.profiles_of(user).len() < limit {
            return Ok(());
        }
        let message =
            format!("{user} has {limit} Profiles, which is the limit: delete one, or ask a cluster admin");
        Err(ApiError::new(http::StatusCode::FORBIDDEN, "TooManyProfiles", message))
    }

    /// Deletes a Profile, and with it its namespace.
    ///
    /// # Errors
    /// When there is none, it is not allowed, or the API server does not do it.
    pub async fn delete_profile(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        let result = self.do_delete_profile(caller, name).await;
        audit::record(caller, Change::DeleteProfile { name }, &result);
        result
    }

    async fn do_delete_profile(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        self.filled()?;
        let what = format!("delete Profile {name}");
        let decision = authorise(self.party(caller), Action::DeleteProfile, self.standing(caller, name));
        let Some(profile) = self.index.profile(name) else {
            // Whoever may not delete it learns nothing about it.
            return Err(match decision {
                Ok(_) => no_profile(name),
                Err(denial) => ApiError::denied(denial, &what),
            });
        };
        decision.map_err(|denial| ApiError::denied(denial, &what))?;
        match self.cluster.delete_profile(name, &profile.uid).await? {
            Deleted::Gone => Ok(()),
            Deleted::Replaced => {
                Err(ApiError::conflict("Conflict", format!("Profile {name} is another one now: look again")))
            }
        }
    }

    /// Shares a namespace.
    ///
    /// # Errors
    /// When it is not valid, not allowed, there already, or the API server does not do it.
    pub async fn add_binding(&self, caller: &Caller, binding: WireBinding) -> Result<Shared, ApiError> {
        let sharing = binding.check()?;
        let result = async {
            self.may_share(caller, &sharing)?;
            self.sharer.add(&sharing).await
        }
        .await;
        audit::record(caller, Change::AddBinding(&sharing), &result);
        result
    }

    /// Stops sharing a namespace.
    ///
    /// # Errors
    /// When it is not valid, not allowed, not there, or the API server does not do it.
    pub async fn remove_binding(&self, caller: &Caller, binding: WireBinding) -> Result<(), ApiError> {
        let sharing = binding.check()?;
        let result = async {
            self.may_share(caller, &sharing)?;
            self.sharer.remove(&sharing).await
        }
        .await;
        audit::record(caller, Change::RemoveBinding(&sharing), &result);
        result
    }

    fn may_share(&self, caller: &Caller, sharing: &Sharing) -> Result<(), ApiError> {
        self.filled()?;
        let Sharing { subject, role, namespace } = sharing;
        let what = format!("decide over the role {role} of {} in {namespace}", subject.name());
        authorise(self.party(caller), Action::Share(*role), self.standing(caller, namespace))
            .map_err(|denial| ApiError::denied(denial, &what))?;
        // Only namespaces of Profiles are shared, whoever asks.
        if self.index.profile(namespace).is_none() {
            return Err(no_profile(namespace));
        }
        Ok(())
    }

    /// The bindings that match and that the caller may see: all for the dashboard and cluster admins; for a user their own and
    /// those of namespaces where they have the role `admin`.
    ///
    /// # Errors
    /// While the index is being filled.
    pub fn bindings(&self, caller: &Caller, query: &BindingQuery) -> Result<Vec<Arc<Binding>>, ApiError> {
        self.filled()?;
        let role = match query.role.as_deref() {
            None => None,
            Some(text) => match Role::parse(text) {
                Some(role) => Some(role),
                // As in the reference, there are no such bindings.
                None => return Ok(Vec::new()),
            },
        };
        let scope = authorise(self.party(caller), Action::ReadBindings, Standing::default())
            .map_err(|denial| ApiError::denied(denial, "read bindings"))?;
        let mut bindings = match (&query.user, &query.namespace) {
            (Some(user), _) => self.index.bindings_of(user),
            (None, Some(namespace)) => self.index.bindings_in(namespace),
            (None, None) => match (scope, caller.user()) {
                (Scope::Own, Some(user)) => self.concerning(user),
                _ => self.index.bindings(),
            },
        };
        if let Some(namespace) = &query.namespace {
            bindings.retain(|binding| *binding.namespace == **namespace);
        }
        if let Some(role) = role {
            bindings.retain(|binding| binding.role == role);
        }
        if let (Scope::Own, Some(user)) = (scope, caller.user()) {
            let own = |binding: &Binding| {
                is_user_binding(binding, user)
                    || self.index.role_of(user, &binding.namespace) == Some(Role::Admin)
            };
            bindings.retain(|binding| own(binding));
        }
        Ok(bindings)
    }

    /// The bindings of a user and of the namespaces where they have a role, by namespace.
    fn concerning(&self, user: &str) -> Vec<Arc<Binding>> {
        let of_user = self.index.bindings_of(user);
        let namespaces: BTreeSet<Arc<str>> =
            of_user.iter().map(|binding| binding.namespace.clone()).collect();
        namespaces.iter().flat_map(|namespace| self.index.bindings_in(namespace)).collect()
    }

    /// Answers whether a user is a cluster admin; without a name it is about the caller.
    ///
    /// # Errors
    /// When a user asks about somebody else, or nobody is named.
    pub fn ask_cluster_admin(&self, caller: &Caller, user: Option<&str>) -> Result<bool, ApiError> {
        let Some(user) = user.filter(|user| !user.is_empty()).or(caller.user()) else {
            return Err(ApiError::malformed("say which user is meant: ?user=NAME"));
        };
        let standing = Standing { owner: caller.user() == Some(user), ..Standing::default() };
        authorise(self.party(caller), Action::AskClusterAdmin, standing)
            .map_err(|denial| ApiError::denied(denial, "ask about the rights of another user"))?;
        Ok(self.is_cluster_admin(user))
    }

    /// Nothing is said before everything has been read.
    pub(crate) fn filled(&self) -> Result<(), ApiError> {
        if self.index.is_filled() {
            return Ok(());
        }
        Err(ApiError::unavailable(
            "Starting",
            "still reading what there is in the cluster: try again in a moment",
        ))
    }
}

pub(crate) fn is_user(owner: &Owner, user: &str) -> bool {
    matches!(owner, Owner::User(name) if name == user)
}

pub(crate) fn is_user_binding(binding: &Binding, user: &str) -> bool {
    binding.kind == profile_api::SubjectKind::User && *binding.user == *user
}

pub(crate) fn no_profile(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no Profile {name}"))
}
