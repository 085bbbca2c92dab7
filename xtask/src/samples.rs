//! The sample Profiles, one of each kind: what becomes of them.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use profile_api::{Profile, ProfileCondition};

const FOLDER: &str = "manifests/samples";
const DEADLINE: Duration = Duration::from_secs(60);

/// The sample Profiles and the files they are in, by name.
///
/// # Errors
/// When a file cannot be read or does not hold a Profile.
pub(crate) fn read() -> anyhow::Result<BTreeMap<String, (String, Profile)>> {
    let mut samples = BTreeMap::new();
    for file in fs::read_dir(crate::root().join(FOLDER))? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "kustomization.yaml" {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        // Both versions have one schema.
        let profile: Profile = serde_saphyr::from_str(&text).with_context(|| format!("{FOLDER}/{name}"))?;
        samples.insert(profile.name_any(), (name, profile));
    }
    Ok(samples)
}

/// Creates all sample Profiles and prints a table of what the controller says of them. One may need what is not here, such as
/// credentials of a cloud: then it says so.
///
/// # Errors
/// When the controller says nothing about one of them for a minute.
pub(crate) async fn show(client: Client) -> anyhow::Result<()> {
    let samples = read()?;
    let api: Api<Profile> = Api::all(client);
    for (name, (_, profile)) in &samples {
        api.patch(name, &PatchParams::apply("xtask-dev"), &Patch::Apply(profile)).await?;
    }
    let mut said: BTreeMap<String, ProfileCondition> = BTreeMap::new();
    let mut seen = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let all = async {
        while said.len() < samples.len() {
            let Some(profile) = seen.try_next().await? else { bail!("the watch has ended") };
            let ready = profile.status.as_ref().and_then(|status| status.condition(ProfileCondition::READY));
            if let Some(ready) = ready.filter(|_| samples.contains_key(&profile.name_any())) {
                said.insert(profile.name_any(), ready.clone());
            }
        }
        Ok(())
    };
    let told = tokio::time::timeout(DEADLINE, all).await;
    println!("\n{:<14}{:<8}{:<22}{:<30}in {FOLDER}/", "PROFILE", "READY", "REASON", "OWNER");
    for (name, ready) in &said {
        let (file, profile) = &samples[name];
        println!("{name:<14}{:<8}{:<22}{:<30}{file}", ready.status, ready.reason, profile.spec.owner.name);
        if !ready.is_true() {
            println!("{:<14}{}", "", ready.message);
        }
    }
    told.context("not every sample was looked at within a minute")?
}
