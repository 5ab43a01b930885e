//! What the library says a person can do, as commands and flags.
//!
//! Below here a hint names a [`Remedy`]; this file alone says how it is typed.

use songrec_core::{Hint, Remedy, Scan};

/// A hint in the words of the command line.
pub(crate) fn in_words(hint: &Hint) -> String {
    hint.worded(|remedy| format!("`{}`", typed(remedy)))
}

/// Puts a hint that is about to be printed into the words of the command line.
pub(crate) fn put_in_words(hint: &mut Option<Hint>) {
    if let Some(hint) = hint {
        *hint = in_words(hint).into();
    }
}

// What a person types.
fn typed(remedy: &Remedy) -> String {
    let words = match remedy {
        Remedy::Init => "songrec init",
        Remedy::InitAstra { check: false } => "songrec init-astra",
        Remedy::InitAstra { check: true } => "songrec init-astra --check",
        Remedy::NameLibrary => "--library",
        Remedy::Clone => "songrec clone",
        Remedy::Verify { repair: false, read_data: false } => "songrec verify",
        Remedy::Verify { repair: true, read_data: false } => "songrec verify --repair",
        Remedy::Verify { repair: false, read_data: true } => "songrec verify --read-data",
        Remedy::Verify { repair: true, read_data: true } => "songrec verify --repair --read-data",
        Remedy::Scan(scan) => return scanned(scan),
        Remedy::PlanOnly => "--dry-run",
        Remedy::AllowDeletions(songs) => return format!("--max-delete {songs}"),
        Remedy::Adopt => "--adopt",
        Remedy::Fully => "--full",
        Remedy::FewerJobs => "--jobs",
        Remedy::Trash => "songrec trash",
        Remedy::Conflicts(song) => return format!("songrec conflicts show {}", song.short()),
        Remedy::Machines => "songrec machines",
        Remedy::GetAudio => "songrec get",
        Remedy::GetFromCloud(song) => {
            return format!("songrec get {} --storage-backend astra", song.short());
        }
        Remedy::List => "songrec ls",
        Remedy::ListSilent => "songrec ls -f warning:silent",
        Remedy::Search => "songrec search WORDS",
        Remedy::Filter(filter) => return format!("-f '{filter}'"),
        Remedy::Metric => "--metric",
        Remedy::Model(None) => "--model",
        Remedy::Model(Some(model)) => return format!("--model {model}"),
        Remedy::Blend => "--blend",
        Remedy::Weights => "--weights",
        Remedy::Replace => "--force",
        Remedy::Describe(words) => return format!("--text \"{words}\""),
        Remedy::Cluster => "songrec cluster",
        Remedy::Playlists => "songrec playlist ls",
        Remedy::Patterns => "songrec patterns ls",
        Remedy::NewPattern => "songrec patterns add",
        Remedy::NewPlaylist => "songrec playlist new",
        Remedy::Synths => "songrec synths ls",
        Remedy::NewSynth => "songrec synths add FILE",
        Remedy::UpdateSynth => "songrec synths add --update FILE",
        Remedy::RenameSynth => "songrec synths edit SYNTH --set name=NAME",
        Remedy::UnlinkSynth => "songrec synths unlink",
        Remedy::Stats => "songrec stats",
        Remedy::Models => "songrec model list",
        Remedy::AddModel(None) => "songrec model add",
        Remedy::AddModel(Some((model, from))) => {
            return format!("songrec model add {model} {from}");
        }
        Remedy::UseFfmpeg => "[decode] ffmpeg = true",
        Remedy::ShowSettings => "songrec config show",
        Remedy::ShowFolders => "songrec config path",
    };
    words.to_owned()
}

fn scanned(scan: &Scan) -> String {
    let named = |model: &Option<String>| model.clone().unwrap_or_else(|| "NAME".to_owned());
    match scan {
        Scan::Again => "songrec scan".to_owned(),
        Scan::Files => "songrec scan PATH".to_owned(),
        Scan::Path(path) => format!("songrec scan '{path}'"),
        Scan::Failed => "songrec scan --failed".to_owned(),
        Scan::ByModel(model) => format!("songrec scan --model {}", named(model)),
        Scan::Unembedded(model) => format!("songrec scan --model {} --missing", named(model)),
        Scan::Passages(model) => format!("songrec scan --model {model} --segments"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_a_command_or_a_flag() {
        let hint = Hint::of(
            "look at the plan with {}; if it is right, allow it with {}",
            [Remedy::PlanOnly, Remedy::AllowDeletions(11)],
        );

        assert_eq!(
            in_words(&hint),
            "look at the plan with `--dry-run`; if it is right, allow it with `--max-delete 11`"
        );
    }
}
