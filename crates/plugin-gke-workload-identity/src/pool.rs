//! Which project the cluster's workload identity pool is in.

use std::{env, path::PathBuf, time::Duration};

use profile_plugin::{Cause, PluginError};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::ServiceAccountEmail;

/// How long the metadata server, which is next door, may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const METADATA_HOST: &str = "metadata.google.internal";
const PROJECT_PATH: &str = "/computeMetadata/v1/project/project-id";

/// The project, as far as it is the same for every Profile; asked for once.
pub(crate) struct PoolProject {
    given: Option<String>,
    found: OnceCell<Option<String>>,
}

impl PoolProject {
    pub(crate) fn new(given: Option<String>) -> Self {
        Self { given, found: OnceCell::new() }
    }

    /// The project that an admin has named.
    pub(crate) fn given(&self) -> Option<&str> {
        self.given.as_deref()
    }

    /// That of the controller's own credentials or of the machine that it runs on, else that of the service account.
    ///
    /// # Errors
    /// There is a metadata server, and it does not say.
    pub(crate) async fn find(&self, account: &ServiceAccountEmail) -> Result<String, PluginError> {
        let found = self.found.get_or_try_init(own_project).await?;
        Ok(found.clone().unwrap_or_else(|| account.project()))
    }
}

async fn own_project() -> Result<Option<String>, PluginError> {
    match credentials_file() {
        Some(file) => match project_in(&file).await {
            Some(project) => Ok(Some(project)),
            None => project_of_machine().await,
        },
        None => project_of_machine().await,
    }
}

/// Where application default credentials are, if they are in a file.
fn credentials_file() -> Option<PathBuf> {
    let given = env::var_os("GOOGLE_APPLICATION_CREDENTIALS").filter(|path| !path.is_empty());
    given.map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".config/gcloud/application_default_credentials.json"))
    })
}

async fn project_in(file: &PathBuf) -> Option<String> {
    let text = tokio::fs::read(file).await.ok()?;
    let credentials: Value = serde_json::from_slice(&text).ok()?;
    credentials["project_id"].as_str().map(str::to_owned)
}

/// `None` on a machine that is not one of Google Cloud.
async fn project_of_machine() -> Result<Option<String>, PluginError> {
    let host = env::var("GCE_METADATA_HOST").unwrap_or_else(|_| METADATA_HOST.to_owned());
    let url = format!("http://{host}{PROJECT_PATH}");
    let failed = |what: String| {
        let message = format!(
            "could not ask the metadata server for the project ({url}): {what}; \
             the flag --workload-pool-project names it instead"
        );
        PluginError::new(Cause::Unavailable, message)
    };
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
    let request = client.map_err(|error| failed(error.to_string()))?.get(&url);
    let answer = match request.header("Metadata-Flavor", "Google").send().await {
        Ok(answer) => answer,
        // There is no such host here.
        Err(error) if error.is_connect() && !error.is_timeout() => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let answer = answer.error_for_status().map_err(|error| failed(error.to_string()))?;
    let project = answer.text().await.map_err(|error| failed(error.to_string()))?;
    Ok(Some(project.trim().to_owned()).filter(|project| !project.is_empty()))
}
