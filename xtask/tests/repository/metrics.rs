//! What is exposed is explained, and what alerts, the dashboard and documents name is exposed: by running programs that have
//! something to tell.

use std::collections::{BTreeMap, BTreeSet};

use dev_cluster::Cluster;
use kube::{Api, api::PostParams};
use profile_api::{Profile, ProfileSpec, Subject};
use test_support::{run, until};
use tokio::sync::OnceCell;

use crate::{
    alerts::alerts,
    dashboard,
    markdown::{Document, code_in},
    promql::{Matcher, Named, named},
    reasons,
    world::{ACCESS_MANAGEMENT, METRICS, PROGRAMS, Running, controller, installed, kfam, service_account},
};

/// The series of both programs after some work: each metric with the labels of each series.
#[derive(Default)]
struct Scraped {
    controller: Series,
    kfam: Series,
}

#[derive(Default)]
struct Series {
    /// Without the suffixes of histograms.
    families: BTreeSet<String>,
    series: BTreeMap<String, Vec<BTreeMap<String, String>>>,
}

static SCRAPED: OnceCell<Scraped> = OnceCell::const_new();

/// Those of the Go controller.
const SEVERITIES: [&str; 3] = ["minor", "major", "critical"];
/// Labels that Prometheus adds.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

#[test]
fn what_alerts_and_dashboard_name_is_exposed() {
    run(async {
        let scraped = scraped().await;
        let rules = alerts().into_iter().map(|alert| alert["expr"].as_str().unwrap().to_owned());
        for expression in rules.chain(dashboard::expressions()) {
            let Named { selectors, groupings } = named(&expression);
            assert!(!selectors.is_empty(), "{expression}");
            let mut labels = BTreeSet::from(OF_PROMETHEUS.map(str::to_owned));
            for (metric, matchers) in selectors {
                let series = scraped.all(&metric);
                assert!(!series.is_empty(), "{metric} is exposed: {expression}");
                for matcher in matchers.iter().filter(|it| !OF_PROMETHEUS.contains(&it.label.as_str())) {
                    let values: BTreeSet<&String> =
                        series.iter().filter_map(|it| it.get(&matcher.label)).collect();
                    assert!(!values.is_empty(), "{metric} has the label {}: {expression}", matcher.label);
                    check_value(&metric, matcher, &values, &expression);
                }
                labels.extend(series.iter().flat_map(|it| it.keys().cloned()));
            }
            assert!(groupings.is_subset(&labels), "{groupings:?} are among {labels:?}: {expression}");
        }
    });
}

/// A value that is named has to be one that there can be.
fn check_value(metric: &str, matcher: &Matcher, values: &BTreeSet<&String>, expression: &str) {
    match (matcher.label.as_str(), matcher.operator.as_str()) {
        // Answers of an API server in trouble.
        ("code", _) => {}
        ("reason", "=~" | "!~") => {
            let reasons = reasons::in_code();
            for reason in matcher.value.split('|') {
                assert!(reasons.contains(reason), "{reason} is a reason of the controller: {expression}");
            }
        }
        ("path", "=~") => {
            let beginning = matcher.value.trim_end_matches(".*");
            assert!(values.iter().any(|value| value.starts_with(beginning)), "{metric}: {matcher:?}");
        }
        ("kind", "=~" | "!~") => {
            let reasons = reasons::in_code();
            let is_known = |word: &str| reasons.contains(word) || values.iter().any(|value| *value == word);
            assert!(matcher.value.split('|').all(is_known), "{matcher:?}: {values:?}: {expression}");
        }
        ("severity", "=~") => {
            assert!(
                matcher.value.split('|').all(|word| SEVERITIES.contains(&word)),
                "{matcher:?}: {expression}"
            );
        }
        _ => assert!(
            values.contains(&matcher.value),
            "{metric}: {matcher:?} is one of {values:?}: {expression}"
        ),
    }
}

#[test]
fn every_metric_of_the_controller_is_explained_and_every_one_that_is_explained_is_exposed() {
    run(async { scraped().await.controller.check("## Metrics") });
}

#[test]
fn every_metric_of_access_management_is_explained_and_every_one_that_is_explained_is_exposed() {
    run(async { scraped().await.kfam.check("## Metrics of access management") });
}

impl Scraped {
    fn all(&self, metric: &str) -> Vec<&BTreeMap<String, String>> {
        [&self.controller, &self.kfam].into_iter().filter_map(|it| it.series.get(metric)).flatten().collect()
    }
}

impl Series {
    /// Compares with the table in docs/operations.md.
    fn check(&self, heading: &str) {
        let rows = Document::read("docs/operations.md").rows(heading);
        let explained = rows.iter().flat_map(|row| code_in(&row[0]));
        let explained: BTreeMap<String, BTreeSet<String>> =
            explained.map(|it| name_and_labels(&it)).collect();
        for family in &self.families {
            let is_there = explained.contains_key(family);
            assert!(is_there, "{family} has a row under {heading} of docs/operations.md");
        }
        for (name, labels) in &explained {
            assert!(self.families.contains(name), "{name} is not exposed, but has a row under {heading}");
            let names = [name.clone(), format!("{name}_bucket")];
            let series = names.iter().filter_map(|name| self.series.get(name)).flatten();
            let found: BTreeSet<String> =
                series.flat_map(|it| it.keys().cloned()).filter(|it| it != "le").collect();
            assert_eq!(*labels, found, "the labels of {name}");
        }
    }

    fn read(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                all.families.extend(family.split(' ').next().map(str::to_owned));
            } else if !line.starts_with('#') {
                let (sample, _) = line.rsplit_once(' ').unwrap();
                let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
                let labels =
                    labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\""));
                let labels =
                    labels.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()));
                all.series.entry(name.to_owned()).or_default().push(labels.collect());
            }
        }
        all
    }
}

/// `metric{label,label}`, as the documents write it.
fn name_and_labels(written: &str) -> (String, BTreeSet<String>) {
    let (name, labels) = written.split_once('{').unwrap_or((written, ""));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    (name.to_owned(), labels.map(str::to_owned).collect())
}

async fn scraped() -> &'static Scraped {
    SCRAPED.get_or_init(work).await
}

/// Runs both programs and gives them something to count.
async fn work() -> Scraped {
    let cluster = installed().await;
    let kubeconfig = service_account(&cluster).await;
    let mut command = controller(PROGRAMS.join("profile-controller"), &kubeconfig);
    command.args(["--leader-elect", "--leader-election-namespace=profiles-system"]);
    let controller = Running::start(&cluster, &command);
    let kfam = Running::start(&cluster, &kfam(PROGRAMS.join("kfam"), &kubeconfig));
    for name in ["jane", "kube-jane"] {
        create(&cluster, name).await;
    }
    until("both Profiles are counted", async || {
        let (_, text) = controller.get(METRICS, "/metrics", "").await;
        let counted = |line: &str| text.lines().any(|it| it.strip_prefix(line) == Some(" 1"));
        let both = counted("profile_controller_profiles{ready=\"true\",reason=\"Reconciled\"}")
            && counted("profile_controller_profiles{ready=\"false\",reason=\"ReservedName\"}")
            && text.contains("request_kf_failure{");
        both.then_some(())
    })
    .await;
    until("access management is ready", async || {
        (kfam.get(ACCESS_MANAGEMENT, "/readyz", "").await.0 == 200).then_some(())
    })
    .await;
    let certificate = |account: &str| {
        format!("x-forwarded-client-cert: Hash=0a;URI=spiffe://cluster.local/ns/{account}\r\n")
    };
    for (headers, code) in [
        (certificate("kubeflow/sa/dashboard"), 200),
        (certificate("kubeflow/sa/stranger"), 403),
        (String::new(), 401),
    ] {
        let (answered, body) = kfam.get(ACCESS_MANAGEMENT, "/kfam/v1/bindings", &headers).await;
        assert_eq!(answered, code, "{body}");
    }
    Scraped {
        controller: Series::read(&controller.get(METRICS, "/metrics", "").await.1),
        kfam: Series::read(&kfam.get(ACCESS_MANAGEMENT, "/metrics", "").await.1),
    }
}

async fn create(cluster: &Cluster, name: &str) {
    let profile = Profile::new(name, ProfileSpec::owned_by(Subject::user("jane@example.com")));
    let profiles: Api<Profile> = Api::all(cluster.admin());
    profiles.create(&PostParams::default(), &profile).await.expect("a Profile");
}
