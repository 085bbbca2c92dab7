//! Names that are a contract: with the rest of Kubeflow (dashboard, notebooks, pipelines, KServe), with clusters that
//! were set up by the Go controller, and between the parts of this project.

/// API group of the Profile resource.
pub const GROUP: &str = "kubeflow.org";
/// Kind of the Profile resource.
pub const KIND: &str = "Profile";
/// Name of the CustomResourceDefinition.
pub const CRD_NAME: &str = "profiles.kubeflow.org";

/// Finalizer that the Go controller puts on every Profile. It is honoured and removed; this controller adds it only
/// where something outside the cluster has to be undone.
pub const FINALIZER: &str = "profile-finalizer";

/// Annotation of a Profile's namespace: the name of `spec.owner`. The Go controller decides by it whose namespace it
/// is, so it is kept up to date for a way back.
pub const OWNER_ANNOTATION: &str = "owner";
/// Annotation of a binding (RoleBinding or AuthorizationPolicy): the name of the user who is given access. KFAM lists
/// the RoleBindings that carry it together with [`ROLE_ANNOTATION`].
pub const USER_ANNOTATION: &str = "user";
/// Annotation of a binding: the role as KFAM spells it on the wire (`admin`, `edit` or `view`).
pub const ROLE_ANNOTATION: &str = "role";
/// Annotation that a cluster admin puts on an existing namespace to hand it to the Profile named by its value.
pub const ADOPT_ANNOTATION: &str = "profiles.kubeflow.org/adopt";
/// Annotation of a Profile's namespace: which of its labels were set from the namespace labels file, with the values
/// set, as a JSON object of strings. A label that was changed by someone else since differs from it and is left alone.
pub const APPLIED_LABELS_ANNOTATION: &str = "profiles.kubeflow.org/applied-labels";
/// Annotation of a ServiceAccount of a Profile: the keys of the annotations that plugins have set on it, comma-separated, so
/// that they are removed with the plugin and those of others are not.
pub const APPLIED_ANNOTATIONS_ANNOTATION: &str = "profiles.kubeflow.org/applied-annotations";
/// Annotation that an admin puts on a Profile, with the value `true`, to give up on grants outside the cluster that cannot be
/// revoked, because the cloud is unreachable or gone. They are left there as they are.
pub const ABANDON_GRANTS_ANNOTATION: &str = "profiles.kubeflow.org/abandon-grants";

/// Label of every object that a Profile owns; its value is the name of the Profile.
pub const PROFILE_LABEL: &str = "profiles.kubeflow.org/profile";
/// Label by which Istio injects its sidecar into the pods of a namespace; the value is `enabled`.
pub const ISTIO_INJECTION_LABEL: &str = "istio-injection";

/// ServiceAccount for pods that may change things in the namespace; also the name of its RoleBinding.
pub const DEFAULT_EDITOR: &str = "default-editor";
/// ServiceAccount for pods that may only look; also the name of its RoleBinding.
pub const DEFAULT_VIEWER: &str = "default-viewer";
/// RoleBinding that makes the owner an admin of the namespace.
pub const OWNER_ROLE_BINDING: &str = "namespaceAdmin";
/// Istio AuthorizationPolicy that lets the owner in through the browser.
pub const OWNER_POLICY: &str = "ns-owner-access-istio";
/// ResourceQuota of the namespace.
pub const RESOURCE_QUOTA: &str = "kf-resource-quota";

/// The wire name of the role that an owner has.
pub const ROLE_ADMIN: &str = "admin";
/// ClusterRole of owners and of contributors with the role `admin`. The platform brings it.
pub const CLUSTER_ROLE_ADMIN: &str = "kubeflow-admin";
/// ClusterRole of [`DEFAULT_EDITOR`] and of contributors with the role `edit`. The platform brings it.
pub const CLUSTER_ROLE_EDIT: &str = "kubeflow-edit";
/// ClusterRole of [`DEFAULT_VIEWER`] and of contributors with the role `view`. The platform brings it.
pub const CLUSTER_ROLE_VIEW: &str = "kubeflow-view";
/// API group of Kubernetes RBAC, as in a Subject of kind `User` or `Group`.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
