//! Files of playlists for players.

use std::{io::Write as _, path::Path};

use anyhow::Result;
use songrec_core::SongSummary;
use songrec_library::{Error, LeftOut, Library, PathOptions, PlaylistFormat, songs_file};

use crate::{context::Context, numbers::counted};

/// The format that a file is to have by its name.
pub(super) fn format_of(file: &Path) -> Result<PlaylistFormat> {
    Ok(PlaylistFormat::of_path(file).map_err(|error| {
        Error::usage(error).with_hint("the file ends in .m3u8, .m3u, .xspf or .jspf")
    })?)
}

/// Writes songs to a file under a name, and says so; `force` writes over one.
pub(super) async fn write_songs(
    context: &Context,
    library: &Library,
    file: &Path,
    force: bool,
    (name, songs): (&str, &[SongSummary]),
) -> Result<()> {
    let format = format_of(file)?;
    let paths = PathOptions::default();
    let (bytes, left_out) = songs_file(library, name, songs, format, &paths, &context.job).await?;
    write(file, &bytes, force)?;
    for one in &left_out {
        warn_of(context, one);
    }
    let written = counted((songs.len() - left_out.len()) as u64, "song");
    context.printer.say(format!("wrote {written} to `{}`", file.display()));
    Ok(())
}

/// Says why a file does not have a song.
pub(super) fn warn_of(context: &Context, one: &LeftOut) {
    context.printer.warn(format!("left out {}, `{}`: {}", one.position, one.title, one.why));
}

/// Writes a file whole or not at all; over another one only with `force`.
pub(super) fn write(file: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let failed = |error: std::io::Error| Error::io("write", file, error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    new.write_all(bytes).map_err(failed)?;
    // A player that is another user's has to read it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        new.as_file().set_permissions(mode).map_err(failed)?;
    }
    if force {
        new.persist(file).map_err(|error| failed(error.error))?;
        return Ok(());
    }
    new.persist_noclobber(file).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::usage(format_args!("`{}` is there already", file.display()))
                .with_hint("`--force` writes over it")
        }
        _ => failed(error.error),
    })?;
    Ok(())
}
