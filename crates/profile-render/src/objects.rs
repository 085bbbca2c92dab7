//! From a Profile to the objects that it should have.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Namespace, ResourceQuota, ResourceQuotaSpec, ServiceAccount},
        rbac::v1::{RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
    },
};
use profile_api::names::{
    APPLIED_ANNOTATIONS_ANNOTATION, APPLIED_LABELS_ANNOTATION, CLUSTER_ROLE_ADMIN, CLUSTER_ROLE_EDIT,
    CLUSTER_ROLE_VIEW, DEFAULT_EDITOR, DEFAULT_VIEWER, GROUP, KIND, OWNER_ANNOTATION, OWNER_ROLE_BINDING,
    PROFILE_LABEL, RBAC_GROUP, RESOURCE_QUOTA,
};
use profile_api::{STORED_VERSION, SubjectKind};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Manifest, NamespaceLabels, ObjectKey, Observed, OwnedKind, Owner, PlatformConfig, ValidProfile,
    contributor::{self, Role},
    labels::ResolvedLabels,
    mesh::{self, AuthorizationPolicy, BrowserAccess},
};

/// Everything that a Profile should have in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Its namespace, as it is created. How an existing one should be is said by [`Rendered::namespace_manifest`].
    pub namespace: Namespace,
    /// The objects in the namespace. They do not depend on each other.
    pub objects: Vec<Object>,
    /// Objects that must not be there.
    pub absent: Vec<ObjectKey>,
    /// How the owner gets in through the browser.
    pub browser_access: BrowserAccess,
    /// What plugins want of the ServiceAccount [`DEFAULT_EDITOR`]; set by [`Rendered::annotate_editor`].
    editor_annotations: EditorAnnotations,
}

/// The annotations that plugins set on the ServiceAccount [`DEFAULT_EDITOR`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditorAnnotations {
    /// The annotations that should be there.
    pub wanted: BTreeMap<String, String>,
    /// Whether those that were set before and are not wanted any more are left alone, because it cannot be told whether they
    /// are wanted.
    pub keep_others: bool,
}

/// A desired object in the namespace of a Profile.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A ServiceAccount.
    ServiceAccount(ServiceAccount),
    /// A RoleBinding.
    RoleBinding(RoleBinding),
    /// An Istio AuthorizationPolicy.
    AuthorizationPolicy(AuthorizationPolicy),
    /// A ResourceQuota.
    ResourceQuota(ResourceQuota),
}

/// Renders the objects that a Profile should have.
pub fn render(profile: &ValidProfile, config: &PlatformConfig) -> Rendered {
    let mut objects = vec![
        Object::AuthorizationPolicy(owner_policy(profile, config)),
        Object::ServiceAccount(service_account(profile, DEFAULT_EDITOR)),
        Object::ServiceAccount(service_account(profile, DEFAULT_VIEWER)),
        Object::RoleBinding(service_account_binding(profile, DEFAULT_EDITOR, CLUSTER_ROLE_EDIT)),
        Object::RoleBinding(service_account_binding(profile, DEFAULT_VIEWER, CLUSTER_ROLE_VIEW)),
        Object::RoleBinding(owner_binding(profile)),
    ];
    let mut absent = Vec::new();
    match resource_quota(profile) {
        Some(quota) => objects.push(Object::ResourceQuota(quota)),
        None => absent.push(ObjectKey::namespaced(OwnedKind::ResourceQuota, profile.name(), RESOURCE_QUOTA)),
    }
    Rendered {
        namespace: namespace(profile, &config.namespace_labels),
        objects,
        absent,
        browser_access: mesh::browser_access(profile.owner(), config),
        editor_annotations: EditorAnnotations::default(),
    }
}

impl Rendered {
    /// The objects in the namespace, each in the form in which it is compared and written.
    pub fn manifests(&self) -> Vec<Manifest> {
        let mut manifests: Vec<_> = self.objects.iter().map(Object::manifest).collect();
        for manifest in &mut manifests {
            if manifest.key.kind == OwnedKind::ServiceAccount && manifest.key.name == DEFAULT_EDITOR {
                self.editor_annotations.add_to(manifest);
            }
        }
        manifests
    }

    /// Adds what plugins want of the ServiceAccount [`DEFAULT_EDITOR`]. What they wanted before and want no more is removed.
    #[must_use]
    pub fn annotate_editor(mut self, annotations: EditorAnnotations) -> Self {
        self.editor_annotations = annotations;
        self
    }

    /// How the namespace should be, given the labels that it has: labels of others are left alone, those that came from
    /// the namespace labels file follow it.
    pub fn namespace_manifest(&self, observed: Option<&Observed>, labels: &NamespaceLabels) -> Manifest {
        let mut manifest = manifest(OwnedKind::Namespace, &self.namespace, &self.namespace.metadata);
        if let Some(observed) = observed {
            let resolved = labels.resolve(&observed.labels, &applied_labels(observed));
            manifest.labels.retain(|key, _| key == PROFILE_LABEL);
            let record = resolved.record();
            manifest.annotations.insert(APPLIED_LABELS_ANNOTATION.to_owned(), record);
            manifest.labels.extend(resolved.labels);
        }
        manifest
    }
}

impl EditorAnnotations {
    fn add_to(&self, manifest: &mut Manifest) {
        let wanted = self.wanted.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        manifest.annotations.extend(wanted);
        if !self.keep_others {
            let keys: Vec<&str> = self.wanted.keys().map(String::as_str).collect();
            let record = (!keys.is_empty()).then(|| keys.join(","));
            manifest.annotations.insert(APPLIED_ANNOTATIONS_ANNOTATION.to_owned(), record);
        }
    }
}

impl Object {
    /// The object in the form in which it is compared and written.
    pub fn manifest(&self) -> Manifest {
        match self {
            Self::ServiceAccount(object) => manifest(OwnedKind::ServiceAccount, object, &object.metadata),
            Self::RoleBinding(object) => manifest(OwnedKind::RoleBinding, object, &object.metadata),
            Self::AuthorizationPolicy(object) => {
                manifest(OwnedKind::AuthorizationPolicy, object, &object.metadata)
            }
            Self::ResourceQuota(object) => manifest(OwnedKind::ResourceQuota, object, &object.metadata),
        }
    }
}

fn namespace(profile: &ValidProfile, labels: &NamespaceLabels) -> Namespace {
    let resolved = labels.resolve(&BTreeMap::new(), &BTreeMap::new());
    let record = resolved.record().map(|record| (APPLIED_LABELS_ANNOTATION.to_owned(), record));
    let mut metadata = object_meta(profile, profile.name(), []);
    metadata.namespace = None;
    metadata.annotations = Some(
        [(OWNER_ANNOTATION.to_owned(), profile.owner().name().to_owned())]
            .into_iter()
            .chain(record)
            .collect(),
    );
    let present = resolved.labels.into_iter().filter_map(|(key, value)| Some((key, value?)));
    metadata.labels.get_or_insert_default().extend(present);
    Namespace { metadata, ..Namespace::default() }
}

fn owner_policy(profile: &ValidProfile, config: &PlatformConfig) -> AuthorizationPolicy {
    let mut policy = mesh::owner_policy(profile, config);
    let name = policy.metadata.name.take().unwrap_or_default();
    policy.metadata = object_meta(profile, &name, access_annotations(profile));
    policy
}

fn service_account(profile: &ValidProfile, name: &str) -> ServiceAccount {
    ServiceAccount { metadata: object_meta(profile, name, []), ..ServiceAccount::default() }
}

fn service_account_binding(profile: &ValidProfile, name: &str, cluster_role: &str) -> RoleBinding {
    let subject = service_account_subject(profile.name(), name);
    role_binding(object_meta(profile, name, []), cluster_role, subject)
}

fn owner_binding(profile: &ValidProfile) -> RoleBinding {
    let metadata = object_meta(profile, OWNER_ROLE_BINDING, access_annotations(profile));
    role_binding(metadata, CLUSTER_ROLE_ADMIN, owner_subject(profile.owner()))
}

/// Somebody who is given access, as RBAC writes them.
pub(crate) fn owner_subject(owner: &Owner) -> Subject {
    match owner {
        Owner::User(name) => rbac_subject(SubjectKind::User, name),
        Owner::Group(name) => rbac_subject(SubjectKind::Group, name),
        Owner::ServiceAccount { namespace, name } => service_account_subject(namespace, name),
    }
}

fn resource_quota(profile: &ValidProfile) -> Option<ResourceQuota> {
    let limits = profile.quota()?;
    let spec = ResourceQuotaSpec {
        hard: Some(
            limits
                .hard
                .iter()
                .map(|(key, value)| (key.clone(), Quantity(value.as_str().to_owned())))
                .collect(),
        ),
        scopes: (!limits.scopes.is_empty()).then(|| limits.scopes.clone()),
        scope_selector: limits.scope_selector.clone(),
    };
    let metadata = object_meta(profile, RESOURCE_QUOTA, []);
    Some(ResourceQuota { metadata, spec: Some(spec), ..ResourceQuota::default() })
}

pub(crate) fn role_binding(metadata: ObjectMeta, cluster_role: &str, subject: Subject) -> RoleBinding {
    let role_ref = RoleRef {
        api_group: Some(RBAC_GROUP.to_owned()),
        kind: "ClusterRole".to_owned(),
        name: cluster_role.to_owned(),
    };
    RoleBinding { metadata, role_ref, subjects: Some(vec![subject]) }
}

fn rbac_subject(kind: SubjectKind, name: &str) -> Subject {
    Subject {
        api_group: Some(RBAC_GROUP.to_owned()),
        kind: kind.as_str().to_owned(),
        name: name.to_owned(),
        namespace: None,
    }
}

fn service_account_subject(namespace: &str, name: &str) -> Subject {
    Subject {
        api_group: None,
        kind: SubjectKind::ServiceAccount.as_str().to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
    }
}

/// The annotations by which KFAM recognises the owner's access as a binding.
fn access_annotations(profile: &ValidProfile) -> [(String, String); 2] {
    contributor::annotations(profile.owner(), Role::Admin)
}

fn object_meta<const N: usize>(
    profile: &ValidProfile,
    name: &str,
    annotations: [(String, String); N],
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(profile.name().to_owned()),
        labels: Some(BTreeMap::from([(PROFILE_LABEL.to_owned(), profile.name().to_owned())])),
        annotations: (N > 0).then(|| BTreeMap::from(annotations)),
        owner_references: Some(vec![owner_reference(profile)]),
        ..ObjectMeta::default()
    }
}

fn owner_reference(profile: &ValidProfile) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{STORED_VERSION}"),
        kind: KIND.to_owned(),
        name: profile.name().to_owned(),
        uid: profile.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn manifest(kind: OwnedKind, object: &impl Serialize, metadata: &ObjectMeta) -> Manifest {
    let mut fields = match to_json(object) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let content = kind
        .content_fields()
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), fields.remove(*field)?)))
        .collect();
    let name = metadata.name.clone().unwrap_or_default();
    let profile = metadata.namespace.clone().unwrap_or_else(|| name.clone());
    let present = |values: &Option<BTreeMap<String, String>>| {
        values.iter().flatten().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
    };
    Manifest {
        key: ObjectKey { kind, profile, name },
        labels: present(&metadata.labels),
        annotations: present(&metadata.annotations),
        owner: to_json(&metadata.owner_references.iter().flatten().next()),
        content,
    }
}

/// The types here have text keys and no failing serializers, so that this cannot fail.
fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

impl ResolvedLabels {
    fn record(&self) -> Option<String> {
        (!self.applied.is_empty()).then(|| to_json(&self.applied).to_string())
    }
}

/// A record that cannot be read counts as none: then every label is somebody else's.
fn applied_labels(observed: &Observed) -> BTreeMap<String, String> {
    let record = observed.annotations.get(APPLIED_LABELS_ANNOTATION);
    record.and_then(|record| serde_json::from_str(record).ok()).unwrap_or_default()
}
