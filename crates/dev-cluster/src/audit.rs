//! Reads the API server's audit log: who asked what, and what came back. What to conclude from it
//! is the reader's business.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{Api, Client};
use serde::Deserialize;

use crate::wait;

/// What the API server is told to log: each request once, when it is done, without bodies.
pub(crate) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
- level: Metadata
";

const DEADLINE: Duration = Duration::from_secs(30);

/// One request that the API server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who asked: for a client of [`Cluster::user`](crate::Cluster::user) that user, for a service
    /// account `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; of a
    /// path that is no resource, the HTTP method in lower case.
    pub verb: String,
    /// The API group, empty for the core group and for what is no resource.
    pub group: String,
    /// The plural, such as `namespaces`; empty for what is no resource.
    pub resource: String,
    /// Such as `status`, or empty.
    pub subresource: String,
    /// Empty for what is cluster-wide.
    pub namespace: String,
    /// Empty for a list or watch. Of a `create` the name the server stored, if it is known.
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// Whether a permission was missing. Other things are answered with 403 too, such as a create in a
    /// namespace that is being deleted.
    pub unauthorised: bool,
    /// What the client calls itself.
    pub user_agent: String,
    /// Path and query, as sent.
    pub uri: String,
    /// When the answer was done.
    pub timestamp: jiff::Timestamp,
    /// How long it took, from when the request had been read.
    pub duration: Duration,
}

/// A place in the log: what was there before is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The audit log of a cluster. A watch is in it when it ends.
#[derive(Clone)]
pub struct AuditLog {
    file: PathBuf,
    admin: Client,
}

impl AuditLog {
    pub(crate) fn new(file: PathBuf, admin: Client) -> Self {
        AuditLog { file, admin }
    }

    /// Everything logged since the cluster started.
    ///
    /// # Errors
    /// The log can't be read or isn't what the API server writes.
    pub fn events(&self) -> anyhow::Result<Vec<AuditEvent>> {
        self.since(Mark(0))
    }

    /// The end of the log as it is now. Call [`settled`](Self::settled) first if requests of other
    /// processes may be on their way.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn mark(&self) -> anyhow::Result<Mark> {
        Ok(Mark(fs::metadata(&self.file)?.len()))
    }

    /// Everything logged after `mark`.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn since(&self, mark: Mark) -> anyhow::Result<Vec<AuditEvent>> {
        let mut file = File::open(&self.file)
            .with_context(|| format!("opening the audit log {}", self.file.display()))?;
        // From the byte before the mark, to see whether a line begins there.
        let before = mark.0.saturating_sub(1);
        file.seek(SeekFrom::Start(before))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let lines = if mark.0 == 0 { &text[..] } else { behind_line(&text) };
        whole_lines(lines).map(parse).collect()
    }

    /// Waits until every request that was answered before this call is in the log: asks the API
    /// server for an object that nobody else asks for and waits for that line. Returns a mark
    /// behind it.
    ///
    /// # Errors
    /// The API server doesn't answer, or the line doesn't come.
    pub async fn settled(&self) -> anyhow::Result<Mark> {
        let start = self.mark()?;
        let name = format!("audit-marker-{}", unique()?);
        let _ = Api::<ConfigMap>::namespaced(self.admin.clone(), "default").get_opt(&name).await?;
        wait::until("the audit log catches up", DEADLINE, async || {
            let seen = self.since(start)?.iter().any(|event| event.name == name);
            seen.then(|| self.mark()).transpose()
        })
        .await
    }
}

/// Environment variable that names a folder in which the audit logs of all clusters are kept when the clusters are gone.
pub const KEEP_AUDIT_LOGS: &str = "DEV_CLUSTER_AUDIT_LOGS";

/// Reads the audit logs that clusters have left in a folder, see [`KEEP_AUDIT_LOGS`].
///
/// # Errors
/// The folder or a log can't be read, or isn't what the API server writes.
pub fn read_kept(folder: &Path, mut each: impl FnMut(AuditEvent)) -> anyhow::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        let mut log = BufReader::new(File::open(&file)?);
        let mut line = Vec::new();
        // A last line without its end was being written when the API server was killed.
        while log.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            // An API server that was killed and started again goes on after such a line.
            match parse(&line) {
                Ok(event) => each(event),
                Err(error) => tracing::warn!("{}: {error:#}", file.display()),
            }
            line.clear();
        }
    }
    Ok(())
}

/// Makes the log of the cluster in `folder`, empty; where logs are kept, in the folder for them.
pub(crate) fn create_log(file: &Path) -> anyhow::Result<()> {
    let Some(kept) = env::var_os(KEEP_AUDIT_LOGS) else {
        return fs::write(file, "").context("creating the audit log");
    };
    let kept = Path::new(&kept).join(format!("{}.log", unique()?));
    fs::write(&kept, "").with_context(|| format!("creating the audit log {}", kept.display()))?;
    std::os::unix::fs::symlink(&kept, file).context("linking the audit log")
}

fn unique() -> anyhow::Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())
}

/// What comes behind the first end of a line: a mark may be within a line that was being written.
fn behind_line(text: &[u8]) -> &[u8] {
    text.iter().position(|byte| *byte == b'\n').map_or(&[], |end| &text[end + 1..])
}

/// A last line without its end is still being written.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.len() > 1 && line.ends_with(b"\n"))
}

fn parse(line: &[u8]) -> anyhow::Result<AuditEvent> {
    let logged: Logged = serde_json::from_slice(line)
        .with_context(|| format!("audit log line {:?}", String::from_utf8_lossy(line)))?;
    let object = logged.object_ref.unwrap_or_default();
    Ok(AuditEvent {
        user: logged.impersonated_user.unwrap_or(logged.user).username,
        verb: logged.verb,
        group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: logged.response_status.unwrap_or_default().code,
        unauthorised: logged.annotations.decision == "forbid",
        user_agent: logged.user_agent,
        uri: logged.request_uri,
        timestamp: logged.stage_timestamp.0,
        duration: logged
            .stage_timestamp
            .0
            .duration_since(logged.request_received_timestamp.0)
            .try_into()
            .unwrap_or_default(),
    })
}

/// The part of audit.k8s.io/v1 Event that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logged {
    user: LoggedUser,
    impersonated_user: Option<LoggedUser>,
    verb: String,
    #[serde(default)]
    user_agent: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    object_ref: Option<LoggedObject>,
    response_status: Option<LoggedStatus>,
    request_received_timestamp: MicroTime,
    stage_timestamp: MicroTime,
    #[serde(default)]
    annotations: LoggedAnnotations,
}

#[derive(Default, Deserialize)]
struct LoggedAnnotations {
    #[serde(default, rename = "authorization.k8s.io/decision")]
    decision: String,
}

#[derive(Deserialize)]
struct LoggedUser {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LoggedObject {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoggedStatus {
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_being_written_is_left_out_at_both_ends() {
        let log = "first\nsec\u{f6}nd\nthird\nfou".as_bytes();
        let since = |mark: usize| whole_lines(behind_line(&log[mark - 1..])).collect::<Vec<_>>();
        let second = "sec\u{f6}nd\n".as_bytes();
        assert_eq!(since("first\n".len()), [second, b"third\n"]);
        for within in "first\n".len() + 1..=log.len() - "third\nfou".len() {
            assert_eq!(since(within), [b"third\n"], "{within}");
        }
        assert!(since(log.len()).is_empty());
        assert_eq!(whole_lines(log).count(), 3);
    }
}
