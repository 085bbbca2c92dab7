//! The command line: what can be set, checked before anything starts.

use std::{
    ffi::OsString,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
    time::Duration,
};

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use profile_render::{NamespaceLabels, PlatformConfig};
use profile_runtime::{
    access_args::{AccessArgs, given_or},
    bind_address::{self, BindAddress},
    go_flags,
    logging::LogFormat,
};

use crate::{plugins::PluginArgs, preflight::ServiceAccountName};

/// Turns Kubeflow Profiles into namespaces with access rules.
///
/// Without a command it runs the controller: against the cluster of the current kubeconfig (KUBECONFIG, ~/.kube/config), or
/// inside a pod against its own. Flags may be written with one dash or two.
#[derive(Debug, Parser)]
// As in Go, of a flag that is given twice the last one counts: patches of a Deployment add to its arguments.
#[command(
    name = "profile-controller",
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What else can be done than run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what a Profile would become, as YAML, without a cluster.
    Render(RenderArgs),
    /// Tell what would change in the cluster if this controller took over now. Writes nothing.
    ///
    /// Give it the flags that the controller will have; those that do not matter here are accepted, so that a Deployment's
    /// arguments can be taken as they are. It uses the cluster of the current kubeconfig (KUBECONFIG, ~/.kube/config).
    ///
    /// The table counts the Profiles that need nobody, and has a row for everything else. No cloud is asked for anything, and
    /// what only the API server can tell when it is written to is not foreseen, such as a quota for an unknown resource.
    #[command(after_help = PREFLIGHT_EXIT_CODES)]
    Preflight(PreflightArgs),
}

const PREFLIGHT_EXIT_CODES: &str = "Exit codes:
  0  nothing needs a person
  1  something does: a check failed, or a Profile needs attention
  2  the cluster could not be looked at, or the command line is wrong

JSON (--output json):
  version   of this shape: 1
  summary   profiles, and of these: attention, changed, marked, unchanged; checksFailed
  checks    [name, result (ok, note, failed), message]
  profiles  [name, verdict (attention, changed, marked, unchanged),
            findings [level (attention, note), reason, message],
            changes [action (create, patch, replace, delete), kind, group, resource, subresource, namespace, name,
                    marksOnly, fields [path, from, to, mark]],
            grants [action (grant, revoke), plugin, about]]
  A mark is the controller's own label, record, finalizer or status, or says what holds already; marksOnly: nothing else is
  written. Events are not listed.";

impl Cli {
    /// Reads arguments, the program's name first, with flags as Go programs read them.
    ///
    /// # Errors
    /// When they cannot be read; also when they ask for help.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(go_flags::normalise(&Self::command(), args))?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Settings of the running controller.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,

    #[command(flatten)]
    pub(crate) plugins: PluginArgs,

    /// Address that serves Prometheus metrics under /metrics; 0 turns it off.
    #[arg(long, default_value = ":8080", value_name = "ADDRESS", value_parser = bind_address::parse)]
    pub(crate) metrics_bind_address: BindAddress,

    /// Address that serves /healthz and /readyz; 0 turns it off.
    #[arg(long, default_value = ":9876", value_name = "ADDRESS", value_parser = bind_address::parse)]
    pub(crate) health_probe_bind_address: BindAddress,

    /// Let one replica work at a time: the one that holds the Lease kubeflow-profile-controller.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), value_name = "BOOL")]
    pub(crate) leader_elect: bool,

    /// Namespace of the Lease [default: the pod's own, else that of the kubeconfig].
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) leader_election_namespace: Option<String>,

    /// How many Profiles are worked on at the same time.
    #[arg(long, default_value = "16", value_name = "COUNT")]
    pub(crate) max_concurrent_reconciles: NonZeroU16,

    /// How often a Profile is compared again when nothing has happened, from memory: a number with s, m or h.
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) resync_period: Duration,

    /// How log lines are written. The level is set with RUST_LOG, such as RUST_LOG=debug.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// Settings that shape what every Profile becomes.
#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    #[command(flatten)]
    access: AccessArgs,

    /// YAML file with labels for every Profile's namespace: `key: "value"` adds, `key: ""` removes.
    #[arg(long, default_value = "/etc/profile-controller/namespace-labels.yaml", value_name = "FILE")]
    pub(crate) namespace_labels_path: PathBuf,

    /// Mesh identity of the notebook controller.
    #[arg(
        long,
        env = "NOTEBOOK_CONTROLLER_PRINCIPAL",
        default_value = "",
        hide_default_value = true,
        value_name = "PRINCIPAL"
    )]
    notebook_controller_principal: String,
}

/// What to render.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// File with one or more Profiles as YAML or JSON; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: PathBuf,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

/// What preflight looks at and how it tells.
#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// How to print it: a table for people, or JSON for scripts.
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: OutputFormat,

    /// Let the table have a row for every write, the controller's own marks included.
    #[arg(long)]
    pub(crate) all: bool,

    /// ServiceAccount whose permissions are looked at, as NAMESPACE:NAME [default: whoever runs this].
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) service_account: Option<ServiceAccountName>,

    /// How many objects are asked for in one request.
    #[arg(long, default_value = "500", value_name = "COUNT")]
    pub(crate) chunk_size: NonZeroU32,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// How preflight prints what it has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Table,
    Json,
}

impl PlatformArgs {
    /// The settings, with the given namespace labels. An empty principal stands for its default.
    pub(crate) fn config(&self, namespace_labels: NamespaceLabels) -> PlatformConfig {
        let mut config = PlatformConfig { namespace_labels, ..self.access.config() };
        let principal = &mut config.principals.notebook_controller;
        *principal = given_or(&self.notebook_controller_principal, std::mem::take(principal));
        config
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || "write a positive whole number with s, m or h, such as 10m".to_owned();
    let (number, seconds) = match text.char_indices().next_back() {
        Some((end, 's')) => (&text[..end], 1),
        Some((end, 'm')) => (&text[..end], 60),
        Some((end, 'h')) => (&text[..end], 3600),
        _ => return Err(problem()),
    };
    let number = number.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(problem)?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<RunArgs, String> {
        let args = std::iter::once("manager").chain(args.iter().copied()).map(OsString::from);
        Cli::read(args).map(|cli| cli.run).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_reference_deployment_are_accepted() {
        let args = parse(&[
            "-userid-header",
            "kubeflow-userid",
            "-userid-prefix",
            "",
            "-workload-identity",
            "",
            "--leader-elect",
            "--health-probe-bind-address=:9876",
            "--metrics-bind-address=0",
        ])
        .unwrap();
        let config = args.platform.config(NamespaceLabels::default());
        assert_eq!(config.userid_header, "kubeflow-userid");
        assert_eq!(config.userid_prefix, "");
        assert!(args.leader_elect);
        assert_eq!(args.health_probe_bind_address, Some("[::]:9876".parse().unwrap()));
        assert_eq!(args.metrics_bind_address, None);
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.platform.config(NamespaceLabels::default()), PlatformConfig::default());
        assert_eq!(
            args.platform.namespace_labels_path,
            PathBuf::from("/etc/profile-controller/namespace-labels.yaml")
        );
        assert_eq!(args.metrics_bind_address, Some("[::]:8080".parse().unwrap()));
        assert_eq!(args.health_probe_bind_address, Some("[::]:9876".parse().unwrap()));
        assert!(!args.leader_elect);
        assert_eq!(args.plugins.workload_identity, "");
    }

    #[test]
    fn booleans_may_be_given_as_go_gives_them() {
        for (args, expected) in
            [(["-leader-elect=true"], true), (["--leader-elect=false"], false), (["-leader-elect"], true)]
        {
            assert_eq!(parse(&args).unwrap().leader_elect, expected, "{args:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_the_flag_and_what_would_be_right() {
        for (args, flag, help) in [
            (["--metrics-bind-address=8080x"], "--metrics-bind-address", ":PORT"),
            (["--userid-header=a b"], "--userid-header", "HTTP header"),
            (["--userid-prefix=*"], "--userid-prefix", "wildcard"),
            (["--groups-claim=a[b]"], "--groups-claim", "such as groups"),
            (["--reserved-names=a*b"], "--reserved-names", "a*b"),
            (["--resync-period=10"], "--resync-period", "such as 10m"),
            (["--max-concurrent-reconciles=0"], "--max-concurrent-reconciles", "0"),
        ] {
            let error = parse(&args).expect_err(args[0]);
            assert!(error.contains(flag) && error.contains(help), "{error}");
        }
    }
}
