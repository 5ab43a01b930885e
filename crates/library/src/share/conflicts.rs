//! Values that lost a merge, and deciding about them.

use songrec_core::{Field, Hint, Remedy, Song};
pub use songrec_sync::conflicts_of;
use songrec_sync::{SongConflicts, resolve_conflict};

use crate::{Error, Library, Result, now};

/// Every song with values that lost a merge. Looks at all songs.
///
/// # Errors
///
/// Those of the library.
pub async fn conflicts(library: &Library) -> Result<Vec<SongConflicts>> {
    Ok(songrec_sync::conflicts(library.backend()).await?)
}

/// What was decided about the values of a song that lost a merge.
#[derive(Debug)]
pub enum Decision {
    /// No value of the song lost one, or none of the field that was meant; also
    /// what a run that was cut off has decided already.
    Nothing,
    /// The song as it is now.
    Done(Box<Song>),
}

/// Decides about the values of `song` that lost a merge: those of `field`, or of
/// all fields. What is shown stays, or, if `take` says so, the value with this
/// number takes its place, as [`conflicts_of`] lists them, from one. The next
/// sync tells the others.
///
/// # Errors
///
/// `Usage` if there is no value with that number; those of the library.
pub async fn decide(
    library: &Library,
    song: &Song,
    field: Option<Field>,
    take: Option<usize>,
) -> Result<Decision> {
    let SongConflicts { conflicts, .. } = conflicts_of(song);
    let mut fields: Vec<Field> = conflicts.iter().map(|one| one.field.clone()).collect();
    fields.sort();
    fields.dedup();
    if let Some(field) = field {
        fields.retain(|known| *known == field);
    }
    let Some(first) = fields.first() else { return Ok(Decision::Nothing) };
    let taken = match take {
        None => None,
        Some(number) => {
            let found = number.checked_sub(1).and_then(|at| conflicts.get(at));
            let Some(conflict) = found.filter(|conflict| fields.contains(&conflict.field)) else {
                return Err(Error::usage(format_args!("there is no value {number} of `{first}`"))
                    .with_hint(Hint::of("{} counts them", [Remedy::Conflicts(song.id)])));
            };
            fields = vec![conflict.field.clone()];
            Some(&conflict.other)
        }
    };
    for field in &fields {
        resolve_conflict(library.backend(), song.id, field, taken, now()).await?;
    }
    Ok(Decision::Done(Box::new(crate::find::song(library, &song.id.to_string()).await?)))
}
