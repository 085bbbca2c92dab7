//! The command line, as a person or a Deployment uses it. `render` needs no cluster.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::harness::{repository_file, run, shared, unique};

const JANE: &str = "
apiVersion: kubeflow.org/v1
kind: Profile
metadata: {name: jane}
spec: {owner: {kind: User, name: jane@example.com}}
";

/// The settings that come from the environment.
const PRINCIPALS: [(&str, &str); 3] = [
    (
        "ISTIO_INGRESS_GATEWAY_PRINCIPAL",
        "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
    ),
    ("KFP_UI_PRINCIPAL", "cluster.local/ns/kubeflow/sa/ml-pipeline-ui"),
    ("NOTEBOOK_CONTROLLER_PRINCIPAL", "cluster.local/ns/kubeflow/sa/notebook-controller-service-account"),
];

#[test]
fn render_prints_the_objects_of_every_sample() {
    for file in samples() {
        let text = std::fs::read_to_string(&file).unwrap();
        let sample: Value = serde_saphyr::from_str(&text).unwrap();
        let name = sample["metadata"]["name"].as_str().unwrap();
        let printed = rendered(&["-f", file.to_str().unwrap()], "");
        let has_quota = sample["spec"]["resourceQuotaSpec"]["hard"].is_object();
        assert_eq!(printed, rendered(&["-f", "-"], &text), "the same from standard input");
        let mut kinds: Vec<_> =
            documents(&printed).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds.remove(0), "Namespace", "first, so that it can be applied as it is");
        kinds.sort_unstable();
        let mut expected = vec!["AuthorizationPolicy"];
        expected.extend(has_quota.then_some("ResourceQuota"));
        expected.extend(["RoleBinding", "RoleBinding", "RoleBinding", "ServiceAccount", "ServiceAccount"]);
        assert_eq!(kinds, expected, "{}", file.display());
        for object in documents(&printed) {
            let namespace = if object["kind"] == "Namespace" {
                &object["metadata"]["name"]
            } else {
                &object["metadata"]["namespace"]
            };
            assert_eq!(namespace, name);
            assert_eq!(object["metadata"]["labels"]["profiles.kubeflow.org/profile"], name);
        }
    }
}

#[test]
fn render_takes_several_documents_both_versions_and_json() {
    let one = documents(&rendered(&["-f", "-"], JANE));
    assert_eq!(one.len(), 7);
    let old = JANE.replace("kubeflow.org/v1", "kubeflow.org/v1beta1");
    assert_eq!(documents(&rendered(&["-f", "-"], &old)), one, "v1beta1");
    let json = serde_json::to_string_pretty(&serde_saphyr::from_str::<Value>(JANE).unwrap()).unwrap();
    assert_eq!(documents(&rendered(&["-f", "-"], &json)), one, "JSON");
    let joe = JANE.replace("jane", "joe");
    let two = documents(&rendered(
        &["--filename=-"],
        &format!("# both\n---\n{JANE}\n---\n{joe}\n---\n# nothing more\n"),
    ));
    assert_eq!(two[..7], one[..]);
    assert_eq!(two.len(), 14);
    assert_eq!(two[7]["metadata"]["name"], "joe");
}

#[test]
fn what_is_rendered_is_what_the_api_server_takes() {
    run(async {
        let world = shared().await;
        for file in samples() {
            let mut sample: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let name = unique("rendered");
            sample["metadata"]["name"] = json!(name);
            // Objects in a namespace can be tried only if it is there.
            let namespace: Namespace =
                serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
            world.namespaces().create(&PostParams::default(), &namespace).await.unwrap();
            let printed = rendered(&["-f", "-"], &sample.to_string());
            let output = world.cluster.folder().join(format!("{name}.yaml"));
            std::fs::write(&output, &printed).unwrap();
            let text = world.kubectl(&["apply", "--dry-run=server", "-f", output.to_str().unwrap()]).await;
            let objects = documents(&printed).len();
            assert_eq!(text.matches("(server dry run)").count(), objects, "{text}");
        }
    });
}

#[test]
fn flags_are_read_as_go_reads_them() {
    for arguments in [
        &["render", "-f", "-", "-userid-header", "kubeflow-userid", "-userid-prefix", ""][..],
        &["render", "-f", "-", "--userid-header", "kubeflow-userid", "--userid-prefix", ""],
        &["render", "-f", "-", "-userid-header=kubeflow-userid", "-userid-prefix="],
        &["render", "-f", "-", "--userid-header=kubeflow-userid", "--userid-prefix="],
        &[
            "render",
            "-userid-header=other",
            "-userid-header=kubeflow-userid",
            "-userid-prefix=x",
            "-userid-prefix",
            "",
            "-f",
            "-",
        ],
    ] {
        let output = output(arguments, "", JANE, &[]);
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
        let when = &policy(&text(&output.stdout))["spec"]["rules"][0]["when"][0];
        assert_eq!(
            *when,
            json!({ "key": "request.headers[kubeflow-userid]", "values": ["jane@example.com"] }),
            "{arguments:?}"
        );
    }
    let defaults = policy(&rendered(&["-f", "-"], JANE));
    let expected = json!({ "key": "request.headers[x-goog-authenticated-user-email]", "values": ["accounts.google.com:jane@example.com"] });
    assert_eq!(defaults["spec"]["rules"][0]["when"][0], expected);
}

#[test]
fn principals_come_from_the_environment_and_an_empty_one_means_the_default() {
    let principals = |environment: &[(&str, &str)]| {
        let output = output(&["render", "-f", "-"], "", JANE, environment);
        assert!(output.status.success(), "{}", errors(&output));
        let policy = policy(&text(&output.stdout));
        let rules = &policy["spec"]["rules"];
        [&rules[0], &rules[3]].map(|rule| rule["from"][0]["source"]["principals"].clone())
    };
    let expected = |values: [&str; 3]| [json!([values[0], values[1]]), json!([values[2]])];
    let defaults = PRINCIPALS.map(|(_, default)| default);
    assert_eq!(principals(&[]), expected(defaults));
    assert_eq!(principals(&PRINCIPALS.map(|(name, _)| (name, ""))), expected(defaults));
    let own = ["mesh/ns/a/sa/gateway", "mesh/ns/b/sa/pipelines", "mesh/ns/c/sa/notebooks"];
    let environment = [0, 1, 2].map(|number| (PRINCIPALS[number].0, own[number]));
    assert_eq!(principals(&environment), expected(own));
}

#[test]
fn namespace_labels_come_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels.yaml");
    let flag = format!("-namespace-labels-path={}", file.display());
    let labels = || documents(&rendered(&["-f", "-", &flag], JANE))[0]["metadata"]["labels"].clone();
    assert_eq!(labels()["istio-injection"], "enabled", "a missing file is no error");
    std::fs::write(&file, "team: \"vision\"\n").unwrap();
    assert_eq!(labels()["team"], "vision");
    std::fs::write(&file, "- team\n").unwrap();
    let output = output(&["render", "-f", "-", &flag], "", JANE, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains(file.to_str().unwrap()), "{}", errors(&output));
}

#[test]
fn an_error_names_the_file_and_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let with_owner = |owner: &str| JANE.replace("{kind: User, name: jane@example.com}", owner);
    let cases = [
        ("tabs.yaml", "{kind: [Profile".to_owned(), vec!["not YAML"]),
        ("empty.yaml", String::new(), vec!["holds no Profile"]),
        ("comment.yaml", "# nothing\n---\n".to_owned(), vec!["holds no Profile"]),
        (
            "text.yaml",
            "Profile".to_owned(),
            vec!["expected a Profile of kubeflow.org/v1 or kubeflow.org/v1beta1"],
        ),
        (
            "other-kind.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: jane}}".to_owned(),
            vec!["expected a Profile of kubeflow.org/v1 or kubeflow.org/v1beta1", "\"ConfigMap\"", "\"v1\""],
        ),
        (
            "old-version.yaml",
            JANE.replace("kubeflow.org/v1", "kubeflow.org/v1alpha1"),
            vec!["expected a Profile of", "kubeflow.org/v1alpha1"],
        ),
        ("wildcard.yaml", with_owner("{kind: User, name: '*'}"), vec!["spec.owner.name", "wildcard"]),
        (
            "kind.yaml",
            with_owner("{kind: user, name: jane}"),
            vec!["spec.owner.kind", "User, Group or ServiceAccount"],
        ),
        ("robot.yaml", with_owner("{kind: ServiceAccount, name: jane}"), vec!["spec.owner.namespace"]),
        ("no-owner.yaml", JANE.replace("owner:", "owned:"), vec!["spec: missing field `owner`"]),
        (
            "number.yaml",
            with_owner("{kind: User, name: 7}"),
            vec!["spec.owner.name: invalid type: integer `7`, expected a string"],
        ),
        (
            "name.yaml",
            JANE.replace("name: jane}", "name: Jane.Doe}"),
            vec!["metadata.name", "lower-case letters, digits and '-'"],
        ),
        ("no-name.yaml", JANE.replace("name: jane}", "labels: {}}"), vec!["metadata.name"]),
        ("reserved.yaml", JANE.replace("name: jane}", "name: kube-jane}"), vec!["metadata.name", "kube-*"]),
        (
            "quota.yaml",
            format!("{JANE}  ")
                .replace("jane@example.com}", "jane@example.com}, resourceQuotaSpec: {hard: {cpu: two}}"),
            vec!["spec.resourceQuotaSpec.hard[cpu]", "such as 2, 500m or 4Gi"],
        ),
        (
            "plugins.yaml",
            JANE.replace(
                "jane@example.com}",
                "jane@example.com}, plugins: [{kind: A}, {kind: B}, {kind: A}]",
            ),
            vec!["spec.plugins", "two of kind A"],
        ),
        (
            "second.yaml",
            format!("{JANE}\n---\n{}", with_owner("{kind: User, name: ''}")),
            vec!["spec.owner.name", "non-empty"],
        ),
    ];
    for (name, content, mentions) in cases {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        assert_fails(&file, &mentions);
    }
    assert_fails(&folder.path().join("missing.yaml"), &["No such file"]);
    assert_fails(folder.path(), &["directory"]);
}

#[test]
fn a_command_line_that_is_wrong_ends_with_2_and_says_what_is_right() {
    for (arguments, mentions) in [
        (&["--no-such-flag"][..], &["--no-such-flag", "--help"][..]),
        (&["-no-such-flag"], &["--help"]),
        (&["render"], &["--filename"]),
        (&["render", "-f", "-", "--leader-elect"], &["--leader-elect"]),
        (&["reconcile"], &["reconcile"]),
        (&["--metrics-bind-address=host:name"], &["--metrics-bind-address", "IP:PORT"]),
        (&["--userid-header", "a b"], &["--userid-header", "HTTP header"]),
        (&["--resync-period=10"], &["--resync-period", "such as 10m"]),
        (&["--leader-elect=perhaps"], &["--leader-elect"]),
        (&["--userid-header"], &["--userid-header", "value"]),
    ] {
        let output = output(arguments, "", "", &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        for text in mentions {
            assert!(errors(&output).contains(text), "{arguments:?}: {} says {text:?}", errors(&output));
        }
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_explains_every_flag() {
    let flags = [
        "--userid-header",
        "--userid-prefix",
        "--groups-claim",
        "--reserved-names",
        "--namespace-labels-path",
        "--istio-ingress-gateway-principal",
        "--kfp-ui-principal",
        "--notebook-controller-principal",
        "--workload-identity",
        "--workload-pool-project",
        "--gke-iam-endpoint",
        "--eks-oidc-issuer",
    ];
    let run_flags = [
        "--metrics-bind-address",
        "--health-probe-bind-address",
        "--leader-elect",
        "--leader-election-namespace",
        "--max-concurrent-reconciles",
        "--resync-period",
        "--log-format",
    ];
    let preflight_flags = ["--output", "--all", "--service-account", "--chunk-size"];
    for (arguments, expected) in [
        (&["--help"][..], flags.iter().chain(&run_flags).copied().collect::<BTreeSet<_>>()),
        (&["-help"], flags.iter().chain(&run_flags).copied().collect()),
        (&["render", "--help"], flags.iter().chain(&["--filename"]).copied().collect()),
        (&["preflight", "--help"], flags.iter().chain(&run_flags).chain(&preflight_flags).copied().collect()),
    ] {
        let output = output(arguments, "", "", &[]);
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
        let help = text(&output.stdout);
        let explained = explained_flags(&help);
        for flag in &expected {
            let words = explained.iter().find(|(it, _)| it == flag).map(|(_, words)| words.as_str());
            assert!(
                words.is_some_and(|words| words.len() > 10),
                "{flag} is explained by {words:?} in\n{help}"
            );
        }
        let known = expected.iter().chain(&["--help", "--version"]).map(|flag| (*flag).to_owned()).collect();
        let listed: BTreeSet<String> = explained.into_iter().map(|(flag, _)| flag).collect();
        assert!(listed.is_subset(&known), "this test knows every flag: {listed:?}");
    }
    let help = text(&output(&["--help"], "", "", &[]).stdout);
    for (variable, _) in PRINCIPALS {
        assert!(help.contains(&format!("[env: {variable}=")), "{help}");
    }
    let version = output(&["--version"], "", "", &[]);
    assert_eq!(text(&version.stdout), format!("profile-controller {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_a_cluster_to_talk_to_the_controller_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "clusters: 7\n").unwrap();
    for kubeconfig in [folder.path().join("nothing"), broken] {
        let output = output(&[], "", "", &[("KUBECONFIG", kubeconfig.to_str().unwrap())]);
        assert_eq!(output.status.code(), Some(1));
        for text in ["no cluster to talk to", kubeconfig.to_str().unwrap()] {
            assert!(errors(&output).contains(text), "{} says {text:?}", errors(&output));
        }
    }
}

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/samples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|file| !file.ends_with("kustomization.yaml")).collect();
    assert!(files.len() >= 7);
    assert!(repository_file("manifests/samples/profile.yaml").contains("kind: Profile"));
    files
}

/// What `render` prints, which has to succeed.
fn rendered(arguments: &[&str], input: &str) -> String {
    let output = output(arguments, "render", input, &[]);
    assert!(output.status.success(), "render {arguments:?}: {}", errors(&output));
    assert_eq!(errors(&output), "");
    text(&output.stdout)
}

/// Runs the program: a command (or none) with arguments, something on standard input, and nothing in the environment that
/// changes what it does but what is given.
fn output(arguments: &[&str], command: &str, input: &str, environment: &[(&str, &str)]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_profile-controller"));
    for variable in ["KUBECONFIG", "RUST_LOG", "KUBERNETES_SERVICE_HOST"]
        .into_iter()
        .chain(PRINCIPALS.map(|(name, _)| name))
    {
        process.env_remove(variable);
    }
    process.args((!command.is_empty()).then_some(command)).args(arguments).envs(environment.iter().copied());
    let mut child =
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn assert_fails(file: &Path, mentions: &[&str]) {
    let output = output(&["render", "-f", file.to_str().unwrap()], "", "", &[]);
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{}: {errors}", file.display());
    assert!(output.stdout.is_empty(), "nothing is printed that could be applied");
    for text in mentions.iter().chain(&[file.to_str().unwrap()]) {
        assert!(errors.contains(text), "{errors} says {text:?}");
    }
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

fn policy(yaml: &str) -> Value {
    documents(yaml).into_iter().find(|object| object["kind"] == "AuthorizationPolicy").expect("a policy")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn errors(output: &Output) -> String {
    text(&output.stderr)
}

/// The flags that a help text lists, with the explanation of each.
fn explained_flags(help: &str) -> Vec<(String, String)> {
    let mut flags: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let line = line.trim();
        let is_flag = line.starts_with("--") || (line.starts_with('-') && line.contains(", --"));
        if is_flag {
            let name = line.split([' ', '[', '=']).find(|word| word.starts_with("--")).expect("a flag");
            flags.push((name.trim_end_matches(',').to_owned(), String::new()));
        } else if let Some((_, words)) = flags.last_mut() {
            // What clap adds in brackets explains nothing.
            if !line.starts_with('[') {
                words.push_str(line);
            }
        }
    }
    flags
}
