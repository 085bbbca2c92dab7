//! `profile-controller render`: what a Profile would become, without a cluster.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context, anyhow, ensure};
use profile_api::{Profile, ProfileSpec};
use profile_plugin::Registry;
use profile_render::{PlatformConfig, render as render_objects, validate};
use serde_json::Value;

use crate::{args::RenderArgs, labels_file, profile::decode};

/// Stands for the UID that the API server gives to the Profile, which the owner references name.
const UNKNOWN_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Prints the objects of every Profile in the file as YAML documents.
pub(crate) fn render(args: &RenderArgs) -> anyhow::Result<()> {
    let labels = labels_file::read(&args.platform.namespace_labels_path)?.unwrap_or_default();
    let config = args.platform.config(labels);
    let text = read(&args.filename).with_context(|| format!("reading {}", args.filename.display()))?;
    let plugins = args.plugins.registry(None);
    let documents =
        render_text(&text, &config, &plugins).with_context(|| format!("{}", args.filename.display()))?;
    match io::stdout().write_all(documents.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn read(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path)
}

fn render_text(text: &str, config: &PlatformConfig, plugins: &Registry) -> anyhow::Result<String> {
    let profiles: Vec<Value> = serde_saphyr::from_multiple(text).context("not YAML")?;
    ensure!(!profiles.is_empty(), "holds no Profile");
    let mut documents = String::new();
    for value in profiles {
        for object in objects(value, config, plugins)? {
            documents += "---\n";
            documents += &serde_saphyr::to_string(&object)?;
        }
    }
    Ok(documents)
}

fn objects(value: Value, config: &PlatformConfig, plugins: &Registry) -> anyhow::Result<Vec<Value>> {
    let (kind, version) = (value["kind"].clone(), value["apiVersion"].clone());
    let versions =
        profile_api::SERVED_VERSIONS.map(|version| format!("{}/{version}", profile_api::names::GROUP));
    ensure!(
        kind == profile_api::names::KIND && versions.iter().any(|known| version == known.as_str()),
        "expected a Profile of {}, found kind {kind} of apiVersion {version}",
        versions.join(" or ")
    );
    // Checked first, for an error that names the field.
    decode::<ProfileSpec>(&value["spec"], "spec").map_err(|error| anyhow!("not a valid Profile: {error}"))?;
    let mut profile: Profile = serde_json::from_value(value).context("not a valid Profile")?;
    profile.metadata.uid.get_or_insert_with(|| UNKNOWN_UID.to_owned());
    let valid = validate(&profile.metadata, &profile.spec, config)?;
    let plan = plugins.plan(valid.name(), &profile.spec.plugins);
    // A cluster would have the Profile all the same, without that plugin.
    for invalid in &plan.invalid {
        eprintln!("Warning: Profile {}: plugin {}: {}", valid.name(), invalid.kind, invalid.field);
    }
    for unknown in &plan.unknown {
        eprintln!("Warning: Profile {}: there is no plugin {unknown}", valid.name());
    }
    let rendered = render_objects(&valid, config).annotate_editor(plan.annotations);
    let namespace = rendered.namespace_manifest(None, &config.namespace_labels);
    Ok(std::iter::once(namespace).chain(rendered.manifests()).map(|manifest| manifest.to_json()).collect())
}
