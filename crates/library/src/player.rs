//! Songs in a player, and their files in a file manager.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use songrec_core::{Hint, Interrupt, Job, Remedy, Song, SongId, SongSummary};

use crate::{
    Config, Error, ErrorKind, Library, Result, decoding::is_for_ffmpeg, keys,
    scan::walk::may_be_audio, work::blocking,
};

/// What stands for the files in the command of a player.
const FILES: &str = "{}";
/// Songs that are asked for at once.
const AT_ONCE: usize = 500;

/// What was given to a player or a file manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Files, or folders.
    pub paths: Vec<PathBuf>,
    /// The titles of songs of which no file is on this machine.
    pub absent: Vec<String>,
}

/// Has songs played, in their order, by the player of `player.command`, or by what the
/// system opens such files with; waits for the program's end. Songs without a file on
/// this machine are left out. `prints` says where the program prints.
///
/// What a song says of its file is not believed: the file has to have the song's size
/// and the name of an audio file, so that nothing else is ever opened.
///
/// # Errors
///
/// `NotFound` if no song has a file on this machine; when the player is not there or
/// fails; `Usage` if a folder's file names the player.
pub async fn play(
    library: &Library,
    songs: &[SongId],
    prints: fn() -> Stdio,
    job: &Job,
) -> Result<Opened> {
    let player = player(library.config())?;
    let opened = files(library, songs).await?;
    let (paths, folder) = (opened.paths.clone(), library.config().directories().cache.clone());
    let interrupt = job.interrupt.clone();
    blocking(move || {
        let command = match player {
            Some(words) => with_files(&words, &paths),
            None => system(&whole(&paths, &folder)?),
        };
        run(&command, prints, &interrupt)
    })
    .await??;
    Ok(opened)
}

/// Shows the files of songs in the system's file manager: the folder of each, once.
///
/// # Errors
///
/// As [`play`].
pub async fn show_files(
    library: &Library,
    songs: &[SongId],
    prints: fn() -> Stdio,
    job: &Job,
) -> Result<Opened> {
    let mut opened = files(library, songs).await?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in opened.paths.iter().filter_map(|file| file.parent()) {
        if !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_owned());
        }
    }
    // A window each: more are of no use to anybody.
    if folders.len() > MOST_FOLDERS {
        return Err(Error::usage(format_args!("the songs lie in {} folders", folders.len()))
            .because(format!("at most {MOST_FOLDERS} are opened"))
            .with_hint("ask for fewer songs"));
    }
    let interrupt = job.interrupt.clone();
    let asked = folders.clone();
    let shown =
        move || asked.iter().try_for_each(|folder| run(&system(folder), prints, &interrupt));
    // No setting names what shows folders.
    blocking(shown).await?.map_err(|error| error.with_hint(OPENS_FOLDERS))?;
    opened.paths = folders;
    Ok(opened)
}

const MOST_FOLDERS: usize = 10;
/// What to do where no folder can be shown.
const OPENS_FOLDERS: &str = if cfg!(any(windows, target_os = "macos")) {
    "the system itself shows folders; it says more if one is opened by hand"
} else {
    "folders are shown by the system's `xdg-open`, which is in the package `xdg-utils`"
};

// The command that a person has set.
fn player(config: &Config) -> Result<Option<Vec<String>>> {
    let words = config.get(keys::PLAYER_COMMAND);
    if words.is_empty() {
        return Ok(None);
    }
    match config.project_file(keys::PLAYER_COMMAND) {
        None => Ok(Some(words.to_vec())),
        Some(file) => Err(Error::usage("`player.command` may not come from the working folder")
            .because(format!(
                "`{}` would have any program run that who wrote it likes",
                file.display()
            ))
            .with_hint("set it in your own configuration or in the environment")),
    }
}

// The files of songs on this machine.
async fn files(library: &Library, songs: &[SongId]) -> Result<Opened> {
    let mut opened = Opened { paths: Vec::new(), absent: Vec::new() };
    for ids in songs.chunks(AT_ONCE) {
        for song in library.backend().songs().get(ids).await?.into_iter().flatten() {
            match file_of(library, &song) {
                Some(path) => opened.paths.push(path),
                None => opened.absent.push(SongSummary::of(&song).title),
            }
        }
    }
    if opened.paths.is_empty() {
        return Err(Error::not_found("there is nothing to open")
            .because(match opened.absent.as_slice() {
                [] => "no song was found".to_owned(),
                [one] => format!("the audio of `{one}` is not on this machine"),
                several => {
                    format!("the audio of none of {} songs is on this machine", several.len())
                }
            })
            .with_hint(Hint::of("{} brings the audio of a song here", [Remedy::GetAudio])));
    }
    Ok(opened)
}

fn file_of(library: &Library, song: &Song) -> Option<PathBuf> {
    song.files.iter().find_map(|file| {
        let path = library.file_path(&file.path);
        let metadata = path.metadata().ok()?;
        let is_it = metadata.is_file()
            && metadata.len() == file.size
            && (may_be_audio(&path) || is_for_ffmpeg(&path));
        is_it.then_some(path)
    })
}

// The words of a command with the files in place of `{}`, or after all others.
fn with_files(words: &[String], files: &[PathBuf]) -> Vec<OsString> {
    let files = || files.iter().map(|file| file.clone().into_os_string());
    let mut command = Vec::new();
    for word in words {
        match word.as_str() {
            FILES => command.extend(files()),
            word => command.push(word.into()),
        }
    }
    if !words.iter().any(|word| word == FILES) {
        command.extend(files());
    }
    command
}

// One file for what opens one file: the only one, or a list of them in `folder`.
fn whole(files: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    if let [file] = files {
        return Ok(file.clone());
    }
    let list = folder.join("play.m3u8");
    let failed = |error| Error::io("write", &list, error);
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(b"#EXTM3U\n")?;
        for file in files {
            let line = file.as_os_str().as_encoded_bytes();
            // It would be two lines, and the second one any path.
            if !line.contains(&b'\n') && !line.contains(&b'\r') {
                new.write_all(line)?;
                new.write_all(b"\n")?;
            }
        }
        new.persist(&list).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(failed)?;
    Ok(list)
}

// What the system opens a file or a folder with.
fn system(path: &Path) -> Vec<OsString> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    vec![opener.into(), path.into()]
}

// Runs a program without a shell until its end, which an interrupt brings.
fn run(command: &[OsString], prints: fn() -> Stdio, interrupt: &Interrupt) -> Result<()> {
    let (program, arguments) = command.split_first().expect("there is a program");
    let name = program.to_string_lossy().into_owned();
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(prints())
        .spawn()
        .map_err(|error| not_run(&name, error))?;
    let failed = |error| not_run(&name, error);
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return ended(&name, status, interrupt);
        }
        if interrupt.is_set() {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(name: &str, status: ExitStatus, interrupt: &Interrupt) -> Result<()> {
    // `explorer` says 1 when all is well, and who ends a player wants its end.
    if status.success() || cfg!(windows) || interrupt.is_set() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Failed, format_args!("`{name}` did not open it"))
        .because(status.to_string())
        .with_hint(set_a_player()))
}

fn not_run(name: &str, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, format_args!("could not run `{name}`"))
        .because(error)
        .with_hint(set_a_player())
}

fn set_a_player() -> Hint {
    Hint::of(
        "name a player that is here as `command` under `[player]` in your settings; {} says where \
         they are",
        [Remedy::ShowFolders],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_where_the_command_says_so_and_else_at_its_end() {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let files = [PathBuf::from("/m/a b.wav"), PathBuf::from("/m/-c;.wav")];
        let command = |all: &[&str]| -> Vec<String> {
            let command = with_files(&words(all), &files);
            command.into_iter().map(|word| word.into_string().unwrap()).collect()
        };

        assert_eq!(command(&["mpv", "{}", "--x"]), ["mpv", "/m/a b.wav", "/m/-c;.wav", "--x"]);
        assert_eq!(command(&["mpv", "a{}"]), ["mpv", "a{}", "/m/a b.wav", "/m/-c;.wav"]);
    }

    #[test]
    fn a_list_for_the_system_has_one_line_for_each_file() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["/m/a.wav", "/m/b\n/etc/passwd", "/m/c.wav"].map(PathBuf::from);

        let list = whole(&files, folder.path()).unwrap();

        assert_eq!(std::fs::read_to_string(list).unwrap(), "#EXTM3U\n/m/a.wav\n/m/c.wav\n");
        assert_eq!(whole(&files[..1], folder.path()).unwrap(), files[0]);
    }
}
