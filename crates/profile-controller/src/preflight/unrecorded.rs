//! Grants outside the cluster of which there is no record: an annotation on `default-editor` names a cloud identity that no plugin of
//! the Profile asks for. The Go controller leaves them behind; from in here nobody can tell whether the cloud still lets them in.

use kube::ResourceExt;
use profile_api::names::{APPLIED_ANNOTATIONS_ANNOTATION, DEFAULT_EDITOR};
use profile_plugin::Plan;
use profile_render::{ObjectKey, Observed, OwnedKind};
use serde_json::Value;

use crate::{
    plugins::{CLOUD_ANNOTATIONS, CloudAnnotation},
    preflight::{picture::Picture, report::Finding},
    profile::ReadProfile,
};

/// A finding for each such grant.
pub(super) fn findings(profile: &ReadProfile, picture: &Picture, plan: &Plan) -> Vec<Finding> {
    let key = ObjectKey::namespaced(OwnedKind::ServiceAccount, &profile.name_any(), DEFAULT_EDITOR);
    let Some(account) = picture.object(&key) else {
        return Vec::new();
    };
    let annotations = CLOUD_ANNOTATIONS.iter();
    annotations.filter_map(|annotation| finding(annotation, account, profile, plan)).collect()
}

fn finding(
    annotation: &CloudAnnotation,
    account: &Observed,
    profile: &ReadProfile,
    plan: &Plan,
) -> Option<Finding> {
    let identity = account.annotations.get(annotation.key)?;
    let known = plan.annotations.wanted.get(annotation.key) == Some(identity)
        || was_set_here(annotation.key, account)
        || is_recorded(identity, profile)
        // Its settings cannot be used, which is told in any case.
        || plan.invalid.iter().any(|invalid| invalid.kind == annotation.plugin);
    let stays = match plan.annotations.wanted.contains_key(annotation.key) {
        true => "gets the one that the Profile names now",
        false => "keeps it",
    };
    (!known).then(|| {
        let name = profile.name_any();
        let message = format!(
            "ServiceAccount {DEFAULT_EDITOR} is annotated with {key}={identity}, which no plugin {plugin} of the Profile asks for and of \
             which there is no record. The controller cannot tell what was granted and revokes nothing ({DEFAULT_EDITOR} {stays}): \
             look by hand whether {what} {identity} still lets {name}/{DEFAULT_EDITOR} in",
            key = annotation.key,
            plugin = annotation.plugin,
            what = annotation.identity,
        );
        Finding::attention("UnrecordedGrant", message)
    })
}

/// What this controller has set it removes, and a grant that belonged to it has a record.
fn was_set_here(key: &str, account: &Observed) -> bool {
    let applied = account.annotations.get(APPLIED_ANNOTATIONS_ANNOTATION);
    applied.is_some_and(|applied| applied.split(',').any(|it| it == key))
}

fn is_recorded(identity: &str, profile: &ReadProfile) -> bool {
    let names_it = |value: &Value| value.as_str() == Some(identity);
    profile
        .status
        .plugins
        .iter()
        .any(|record| record.grant.values().chain(record.request.values()).any(names_it))
}
