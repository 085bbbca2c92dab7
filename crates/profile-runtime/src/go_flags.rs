//! Flags as Go programs read them, so that existing Deployments start this binary unchanged: `-f v`, `-f=v`, `--f v`,
//! `--f=v`; a boolean alone or as `=true`. They are rewritten to the form that clap reads.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// Rewrites arguments (the program's name first) to `--flag=value`.
///
/// The argument after a flag that takes a value is its value, whatever it looks like: empty, or beginning with a dash.
pub fn normalise(command: &Command, args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut normalised: Vec<OsString> = args.next().into_iter().collect();
    while let Some(arg) = args.next() {
        if arg == "--" {
            normalised.push(arg);
            normalised.extend(args.by_ref());
        } else {
            normalised.push(normalise_one(command, &arg, &mut args).unwrap_or(arg));
        }
    }
    normalised
}

/// `None` for what is not a long flag of the command or of one of its subcommands.
fn normalise_one(
    command: &Command,
    arg: &OsStr,
    rest: &mut impl Iterator<Item = OsString>,
) -> Option<OsString> {
    let text = arg.to_str()?;
    let flag = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    let known = find(command, name)?;
    let mut whole = OsString::from(format!("--{flag}"));
    if name == flag && takes_a_word(known) {
        whole.push("=");
        whole.push(rest.next()?);
    }
    Some(whole)
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let commands = std::iter::once(command).chain(command.get_subcommands());
    commands.flat_map(Command::get_arguments).find(|arg| arg.get_long() == Some(name))
}

/// Whether the value is an argument of its own (of a boolean it never is).
fn takes_a_word(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    /// A controller with a subcommand.
    fn command() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name);
        let boolean = flag("leader-elect").action(ArgAction::Set).num_args(0..=1).require_equals(true);
        let render = Command::new("render").args([flag("filename").short('f'), flag("userid-header")]);
        let flags = [flag("userid-header"), flag("userid-prefix"), flag("workload-identity"), boolean];
        Command::new("manager").args(flags).subcommand(render)
    }

    fn normalised(args: &[&str]) -> Vec<String> {
        let args = std::iter::once("manager").chain(args.iter().copied()).map(OsString::from);
        let normalised = normalise(&command(), args);
        normalised.into_iter().skip(1).map(|arg| arg.into_string().expect("text")).collect()
    }

    #[test]
    fn one_dash_and_two_mean_the_same_with_and_without_an_equals_sign() {
        for args in [
            &["-userid-header", "kubeflow-userid"][..],
            &["--userid-header", "kubeflow-userid"],
            &["-userid-header=kubeflow-userid"],
            &["--userid-header=kubeflow-userid"],
        ] {
            assert_eq!(normalised(args), ["--userid-header=kubeflow-userid"]);
        }
    }

    #[test]
    fn a_value_may_be_empty_or_begin_with_a_dash() {
        assert_eq!(
            normalised(&["-userid-prefix", "", "-workload-identity", "-x", "--leader-elect"]),
            ["--userid-prefix=", "--workload-identity=-x", "--leader-elect"]
        );
    }

    #[test]
    fn a_boolean_does_not_take_the_next_argument() {
        assert_eq!(normalised(&["-leader-elect", "render"]), ["--leader-elect", "render"]);
        assert_eq!(normalised(&["-leader-elect=false"]), ["--leader-elect=false"]);
    }

    #[test]
    fn short_and_unknown_flags_are_left_to_clap() {
        assert_eq!(normalised(&["render", "-f", "x.yaml", "-nope"]), ["render", "-f", "x.yaml", "-nope"]);
    }
}
