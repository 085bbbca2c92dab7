//! The cluster that is asked about: Profiles with their namespaces, each shared with four others.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{core::v1::Namespace, rbac::v1::RoleBinding};
use kube::{Api, Client, api::PostParams};
use profile_api::{Profile, ProfileSpec, Subject, names::OWNER_ROLE_BINDING};
use profile_render::{
    Owner,
    contributor::{Role, contributor_binding},
};
use serde_json::json;

use crate::bench::progress;

/// How many bindings each Profile has: its owner's and its contributors'.
pub(super) const BINDINGS: usize = 5;
const AT_A_TIME: usize = 48;

/// The name of the Profile of a number.
pub(super) fn profile(number: usize) -> String {
    format!("team-{number:05}")
}

/// The name of the user of a number: they own that Profile and contribute to the four before it.
pub(super) fn user(number: usize) -> String {
    format!("user-{number:05}@example.com")
}

/// Creates everything.
pub(super) async fn create(client: &Client, profiles: usize) -> anyhow::Result<()> {
    let bar = progress("creating Profiles with their bindings", profiles);
    let (client, bar) = (&client, &bar);
    stream::iter(0..profiles)
        .map(|number| async move {
            create_one(client, number, profiles).await?;
            bar.inc(1);
            anyhow::Ok(())
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    bar.finish_and_clear();
    Ok(())
}

async fn create_one(client: &Client, number: usize, profiles: usize) -> anyhow::Result<()> {
    let name = profile(number);
    let params = PostParams::default();
    let spec = ProfileSpec::owned_by(Subject::user(user(number)));
    Api::<Profile>::all(client.clone()).create(&params, &Profile::new(&name, spec)).await?;
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    Api::<Namespace>::all(client.clone()).create(&params, &namespace).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &name);
    for contributor in 0..BINDINGS {
        let subject = Owner::User(user((number + contributor) % profiles));
        let binding = if contributor == 0 {
            contributor_binding(&name, OWNER_ROLE_BINDING, &subject, Role::Admin)
        } else {
            let object = format!("user-{:05}-clusterrole-edit", (number + contributor) % profiles);
            contributor_binding(&name, &object, &subject, Role::Edit)
        };
        bindings.create(&params, &binding).await?;
    }
    // Those that are no bindings: the controller makes them in each namespace.
    for (account, role) in [("default-editor", Role::Edit), ("default-viewer", Role::View)] {
        let subject = Owner::ServiceAccount { namespace: name.clone(), name: account.to_owned() };
        let mut binding = contributor_binding(&name, account, &subject, role);
        binding.metadata.annotations = None;
        bindings.create(&params, &binding).await?;
    }
    Ok(())
}
