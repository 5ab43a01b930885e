//! Other ways to write a command line.

use std::ffi::{OsStr, OsString};

use clap::CommandFactory;
use songrec_library::Property;

use super::Cli;

/// The commands that once were flags.
const OLD_FLAGS: [(&str, &str); 3] =
    [("--sync", "sync"), ("--migrate", "migrate"), ("--init-astra", "init-astra")];

/// The arguments as clap wants them: commands that once were flags are
/// commands, wherever they stand, and `-genre:rock` is the filter `!genre:rock`
/// and not a heap of options, and `--library=~/music` means the home, which
/// shells see only in front of an argument. The `--color` of a map may name a
/// property, where that of all commands says when to use colors. What comes after
/// `--` is left alone.
pub(crate) fn with_old_spellings(
    arguments: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let ours = arguments.iter().position(|one| one == "--").unwrap_or(arguments.len());
    for argument in &mut arguments[..ours] {
        if let Some(meant) = negated_filter(argument).or_else(|| at_home(argument)) {
            *argument = meant;
        }
    }
    if arguments[..ours].iter().any(|one| one == "map" || one == "visualize") {
        color_by(&mut arguments[..ours]);
    }
    let old = arguments[..ours].iter().enumerate().skip(1).find_map(|(at, argument)| {
        let (_, command) = OLD_FLAGS.iter().find(|(flag, _)| argument == *flag)?;
        Some((at, *command))
    });
    if let Some((at, command)) = old.filter(|(at, _)| !has_command(&arguments[1..*at])) {
        arguments.remove(at);
        arguments.insert(1, command.into());
    }
    arguments.into_iter()
}

// `--color genre` as `--color-by genre`.
fn color_by(arguments: &mut [OsString]) {
    let is_color = |value: &str| Property::named(value, &Property::COLORS).is_ok();
    let is_property = |value: &OsStr| value.to_str().is_some_and(is_color);
    for at in 0..arguments.len() {
        let value = arguments[at].to_str().and_then(|one| one.strip_prefix("--color="));
        if let Some(value) = value.filter(|value| is_property(OsStr::new(value))) {
            arguments[at] = format!("--color-by={value}").into();
        } else if arguments[at] == "--color"
            && arguments.get(at + 1).is_some_and(|next| is_property(next))
        {
            arguments[at] = "--color-by".into();
        }
    }
}

fn has_command(arguments: &[OsString]) -> bool {
    let cli = Cli::command();
    arguments.iter().any(|argument| cli.find_subcommand(argument).is_some())
}

fn negated_filter(argument: &OsStr) -> Option<OsString> {
    let body = argument.to_str()?.strip_prefix('-')?;
    let (name, _) = body.split_once(':')?;
    let is_field = songrec_core::FIELDS.contains(&name.to_ascii_lowercase().as_str());
    is_field.then(|| format!("!{body}").into())
}

// `--flag=~/path` with the user's home.
fn at_home(argument: &OsStr) -> Option<OsString> {
    let (flag, value) = argument.to_str()?.split_once('=')?;
    let rest = value.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    if !flag.starts_with("--") {
        return None;
    }
    let mut meant = OsString::from(format!("{flag}="));
    meant.push(std::env::home_dir()?);
    meant.push(rest);
    Some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from);
        let spelt = with_old_spellings(arguments).map(|one| one.into_string().unwrap());
        spelt.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn flags_that_became_commands_work_in_any_place() {
        for (old, new) in [
            ("songrec --sync", "songrec sync"),
            ("songrec map --color bpm --color never", "songrec map --color-by bpm --color never"),
            ("songrec map --color=key", "songrec map --color-by=key"),
            ("songrec ls --color always", "songrec ls --color always"),
            ("songrec --sync --dry-run", "songrec sync --dry-run"),
            ("songrec --json --sync", "songrec sync --json"),
            ("songrec --library dir --sync", "songrec sync --library dir"),
            ("songrec --from local --migrate --to b", "songrec migrate --from local --to b"),
            (
                "songrec --storage-backend astra --init-astra",
                "songrec init-astra --storage-backend astra",
            ),
            ("songrec ls --sync", "songrec ls --sync"),
            ("songrec search -- --sync", "songrec search -- --sync"),
            ("songrec", "songrec"),
        ] {
            assert_eq!(spelt(old), new, "{old}");
        }
    }

    #[test]
    fn the_home_is_known_behind_a_flag() {
        let home = std::env::home_dir().unwrap().display().to_string();
        assert_eq!(
            spelt("songrec ls --library=~/music --log-file=~"),
            format!("songrec ls --library={home}/music --log-file={home}")
        );
        assert_eq!(spelt("songrec ls --bpm=~175 --key=~8A"), "songrec ls --bpm=~175 --key=~8A");
        assert_eq!(spelt("songrec edit x --set a=~/b"), "songrec edit x --set a=~/b");
    }

    #[test]
    fn a_filter_that_begins_with_a_hyphen_is_no_option() {
        assert_eq!(spelt("songrec ls -genre:rock"), "songrec ls !genre:rock");
        assert_eq!(spelt("songrec ls -f -genre:rock"), "songrec ls -f !genre:rock");
        assert_eq!(spelt("songrec ls -- -genre:rock -x:y"), "songrec ls -- -genre:rock -x:y");
        assert_eq!(spelt("songrec ls -s title -x:y"), "songrec ls -s title -x:y");
    }
}
