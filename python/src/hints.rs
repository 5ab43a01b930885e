//! What the library says a person can do, in the words of this module.
//!
//! What the module does not offer is done at a terminal.

use songrec_core::{Hint, Remedy, Scan};

/// A hint in the words of Python.
pub(crate) fn in_words(hint: &Hint) -> String {
    hint.worded(|remedy| format!("`{}`", typed(remedy)))
}

/// Puts a hint that is part of a document into the words of Python.
pub(crate) fn put_in_words(hint: &mut Hint) {
    *hint = in_words(hint).into();
}

fn typed(remedy: &Remedy) -> String {
    let words = match remedy {
        Remedy::Init => "songrec.create(path)",
        Remedy::InitAstra { check: false } => "songrec init-astra",
        Remedy::InitAstra { check: true } => "songrec init-astra --check",
        Remedy::NameLibrary => "songrec.open(path)",
        Remedy::Clone => "songrec clone",
        Remedy::Verify { repair: false, read_data: false } => "songrec verify",
        Remedy::Verify { repair: true, read_data: false } => "songrec verify --repair",
        Remedy::Verify { repair: false, read_data: true } => "songrec verify --read-data",
        Remedy::Verify { repair: true, read_data: true } => "songrec verify --repair --read-data",
        Remedy::Scan(scan) => return scanned(scan),
        Remedy::PlanOnly => "dry_run=True",
        Remedy::AllowDeletions(songs) => return format!("max_delete={songs}"),
        Remedy::Adopt => "adopt=True",
        Remedy::Fully => "full=True",
        Remedy::FewerJobs => "songrec sync --jobs",
        Remedy::Trash => "songrec trash",
        Remedy::Conflicts(song) => return format!("songrec conflicts show {}", song.short()),
        Remedy::Machines => "songrec machines",
        Remedy::GetAudio => "songrec get",
        Remedy::GetFromCloud(song) => {
            return format!("songrec get {} --storage-backend astra", song.short());
        }
        Remedy::List => "library.songs()",
        Remedy::ListSilent => "library.songs(\"warning:silent\")",
        Remedy::Search => "library.search(words)",
        Remedy::Filter(filter) => return format!("filter={filter:?}"),
        Remedy::Metric => "metric=",
        Remedy::Model(None) => "model=",
        Remedy::Model(Some(model)) => return format!("model={:?}", model.as_str()),
        Remedy::Blend => "songrec similar --blend",
        Remedy::Weights => "songrec similar --weights",
        Remedy::Replace => "songrec --force",
        Remedy::Describe(words) => return format!("library.describe({words:?})"),
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
        Remedy::Stats => "library.stats()",
        Remedy::Models => "songrec model list",
        Remedy::AddModel(None) => "songrec model add",
        Remedy::AddModel(Some((model, from))) => {
            return format!("songrec model add {model} {from}");
        }
        Remedy::UseFfmpeg => "settings={\"decode.ffmpeg\": \"true\"}",
        Remedy::ShowSettings => "songrec config show",
        Remedy::ShowFolders => "songrec config path",
    };
    words.to_owned()
}

fn scanned(scan: &Scan) -> String {
    let models = |model: &Option<String>| {
        model.as_ref().map_or_else(|| "name".to_owned(), |model| format!("{model:?}"))
    };
    match scan {
        Scan::Again | Scan::Files => "library.scan(paths)".to_owned(),
        Scan::Path(path) => format!("library.scan({path:?})"),
        Scan::Failed => "library.scan(failed=True)".to_owned(),
        Scan::ByModel(model) => format!("library.scan(paths, models={})", models(model)),
        Scan::Unembedded(model) => format!("library.scan(missing=True, models={})", models(model)),
        Scan::Passages(model) => format!("library.scan(paths, models={model:?}, segments=True)"),
    }
}
