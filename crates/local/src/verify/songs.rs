//! Songs, their embeddings and audio against the catalog.

use std::{collections::BTreeSet, fs, fs::File, io, io::Read, path::Path};

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use songrec_core::{Digest, Hint, ModelName, Remedy, Scan, Song, SongId};
use songrec_storage::{Lost, VerifyOptions};

use super::{Findings, SCAN_AGAIN, Verifier, subject};
use crate::{
    catalog::{Catalog, RowKind, song_rows},
    error::{Fault, Result},
    files::stored::{Resolved, id_of},
    files::{Folder, names_in},
    rebuild::ids_that_differ,
    recovery::Recovery,
};

impl Verifier<'_> {
    // Files against the catalog, by their stamps. Gives the songs that differ.
    pub(super) fn verify_shard(
        &self,
        shard: u8,
        findings: &mut Findings<'_>,
    ) -> Result<BTreeSet<SongId>> {
        for folder in [Folder::Songs, Folder::Trash] {
            let path = self.store.layout().shard(folder, shard);
            for name in names_in(&path)? {
                if id_of(Path::new(&name)).is_none_or(|id| id.as_bytes()[0] != shard) {
                    findings.add(
                        path.join(&name).display().to_string(),
                        "it is no file of the library".to_owned(),
                        false,
                        "move it elsewhere",
                    );
                }
            }
        }
        let different = self.database.write(|transaction| {
            let ids = ids_that_differ(transaction, shard)?;
            let mut different = Vec::new();
            for id in &ids {
                let (resolved, leftover) = self.store.resolve(*id);
                // Damaged files are reported with their songs.
                if !matches!(resolved, Resolved::Damaged(_)) {
                    different.push((*id, leftover.is_some()));
                }
            }
            if findings.repair {
                Recovery::new(transaction).refresh(&ids)?;
            }
            Ok(different)
        })?;
        let stale = different.iter().map(|(id, _)| *id).collect();
        for (id, is_both) in different {
            let problem = if is_both {
                "it is both stored and deleted"
            } else {
                "the catalog does not know its file as it is"
            };
            findings.add_repairable(subject(id), problem.to_owned());
        }
        Ok(stale)
    }

    pub(super) fn verify_song(
        &self,
        id: SongId,
        options: &VerifyOptions,
        is_stale: bool,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        let song = match self.store.resolve(id).0 {
            Resolved::Present(stored) => stored.document,
            Resolved::Deleted(stored) if !is_stale => {
                return self.verify_tombstone(&stored.document.song, findings);
            }
            Resolved::Deleted(_) | Resolved::Absent => return Ok(()),
            Resolved::Damaged(fault @ Fault::Newer { .. }) => {
                findings.add(subject(id), fault.chain(), false, "install a newer songrec");
                return Ok(());
            }
            Resolved::Damaged(fault @ Fault::Damaged { .. }) => {
                return self.verify_damaged(id, &fault, findings);
            }
            Resolved::Damaged(fault) => return Err(fault),
        };
        // That what is derived of it differs as well is no news.
        if !is_stale {
            self.verify_summary(&song, options, findings)?;
        }
        for (model, reference) in &song.embeddings {
            let problem = match self.store.embedding(model, id, reference) {
                Ok(Some(_)) if is_stale || findings.unusable.contains(model) => continue,
                Ok(Some(vector)) => {
                    self.verify_row(model, id, vector.values(), options, findings)?;
                    continue;
                }
                Ok(None) => format!("its embedding by `{model}` is missing"),
                Err(fault @ Fault::Damaged { .. }) => fault.chain(),
                Err(other) => return Err(other),
            };
            let lost = Lost::Embedding(id, model.clone());
            findings.add_lost(subject(id), problem, false, lost);
        }
        self.verify_audio(&song, options, findings)
    }

    // The catalog alone says which copies of audio deleted songs still name.
    fn verify_tombstone(&self, song: &Song, findings: &mut Findings<'_>) -> Result<()> {
        let blob = song.blob.as_ref().map(|blob| &blob.sha256);
        if self
            .database
            .read_as_it_is(|connection| song_rows::has_tombstone(connection, song.id, blob))?
        {
            return Ok(());
        }
        if findings.repair {
            self.database.write(|transaction| Recovery::new(transaction).refresh(&[song.id]))?;
        }
        findings.add_repairable(
            subject(song.id),
            "the catalog says something else about it than its tombstone".to_owned(),
        );
        Ok(())
    }

    // What cannot be read keeps its place from a document that can, so that it
    // is moved where a person can inspect it.
    fn verify_damaged(&self, id: SongId, fault: &Fault, findings: &mut Findings<'_>) -> Result<()> {
        let mut problem = fault.chain();
        if !findings.repair {
            let hint = Hint::of(
                "bring the file back from a backup, or run {}, which moves it aside: then a scan \
                 of the audio or a sync brings the song back",
                [Remedy::Verify { repair: true, read_data: false }],
            );
            findings.add(subject(id), problem, false, hint);
            return Ok(());
        }
        let moved =
            self.database.write(|transaction| Recovery::new(transaction).set_damaged_aside(id))?;
        for path in &moved {
            problem.push_str(&format!("; it was moved to `{}`", path.display()));
        }
        if !moved.is_empty() {
            problem.push_str(", and the next scan of the audio or a sync brings the song back");
        }
        findings.add_lost(subject(id), problem, true, Lost::Song(id));
        Ok(())
    }

    // A path may be one of another machine, which has another file there or
    // none. That can only be known where the audio is kept elsewhere for sure.
    fn verify_audio(
        &self,
        song: &Song,
        options: &VerifyOptions,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        // Its files are those that are expected, which nobody has seen.
        if song.awaits_audio() {
            findings.awaiting += 1;
            return Ok(());
        }
        let is_elsewhere = song.blob.as_ref().is_some_and(|blob| blob.key.is_some());
        let mut is_here = false;
        for file in &song.files {
            let problem = match self.store.layout().audio_path(&file.path) {
                // A disk that is not mounted, or a song from another machine:
                // nothing is wrong with the song, so it is reported once a folder.
                Some(path) if path.parent().is_some_and(|folder| !folder.is_dir()) => {
                    let folder = path.parent().unwrap_or(&path).to_owned();
                    if !is_elsewhere {
                        *findings.missing_folders.entry(folder).or_default() += 1;
                    }
                    continue;
                }
                Some(path) if is_elsewhere && !has_size(&path, file.size) => continue,
                Some(path) => compare(&path, file.size, &file.sha256, options.read_data)?,
                None => Some("has a path outside of the library".to_owned()),
            };
            is_here |= problem.is_none();
            if let Some(problem) = problem {
                let problem = format!("its file `{}` {problem}", file.path);
                let hint = Hint::of("run {} again", [Remedy::Scan(Scan::Again)]);
                findings.add(subject(song.id), problem, false, hint);
            }
        }
        if let Some(blob) = &song.blob {
            let path = self.store.layout().blob(&blob.sha256);
            match compare(&path, blob.size, &blob.sha256, options.read_data)? {
                None => is_here = true,
                Some(_) if is_elsewhere && !path.exists() => {}
                Some(problem) => {
                    let problem = format!("its copy `{}` {problem}", path.display());
                    findings.add(subject(song.id), problem, false, SCAN_AGAIN);
                }
            }
        }
        findings.elsewhere += u64::from(is_elsewhere && !is_here);
        Ok(())
    }

    // The stamps may agree while the rows do not.
    fn verify_summary(
        &self,
        song: &Song,
        options: &VerifyOptions,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        let is_same = |connection: &Connection, song: &Song| {
            let same = || {
                Ok(song_rows::has_rows_of(connection, song)?
                    && (!options.read_data || song_rows::has_words_of(connection, song)?))
            };
            match same() {
                // Of the row and not of the file, which was checked before.
                Err(fault @ Fault::Catalog(_)) if fault.is_damaged_catalog() => Ok(false),
                same => same,
            }
        };
        if self.database.read_as_it_is(|connection| is_same(connection, song))? {
            return Ok(());
        }
        // Somebody may have changed it since it was read.
        let still_differs = self.database.write(|transaction| {
            let differs = match self.store.read_song(song.id)? {
                Some(stored) => !is_same(transaction.connection(), &stored.document)?,
                None => false,
            };
            if differs && findings.repair {
                // All its rows anew, whatever some of them hold about the rest.
                transaction.note_pending(RowKind::Song, &[song.id])?;
                transaction.commit(|connection| song_rows::remove_song(connection, song.id))?;
                Recovery::new(transaction).refresh(&[song.id])?;
            }
            Ok(differs)
        })?;
        if still_differs {
            findings.add_repairable(
                subject(song.id),
                "the catalog says something else about it than its file".to_owned(),
            );
        }
        Ok(())
    }

    fn verify_row(
        &self,
        name: &ModelName,
        id: SongId,
        values: &[f32],
        options: &VerifyOptions,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        let agrees = self.database.read(|connection| {
            let Some(model) = Catalog::model(connection, name)? else { return Ok(false) };
            let rows = self.database.rows(connection, &model, RowKind::Song)?;
            Ok(rows.is_some_and(|rows| {
                if options.read_data {
                    let row = rows.get(id.as_bytes()).ok().flatten();
                    row.is_some_and(|row| same_bits(&row, values))
                } else {
                    rows.contains(id.as_bytes()).unwrap_or(false)
                }
            }))
        })?;
        if agrees {
            return Ok(());
        }
        let is_named = self.database.write(|transaction| {
            let named = song_rows::names_embedding(transaction.connection(), id, name)?;
            if named && findings.repair {
                Recovery::new(transaction).refresh(&[id])?;
            }
            Ok(named)
        })?;
        if is_named {
            findings.add_repairable(
                subject(id),
                format!("the index of `{name}` does not have its vector"),
            );
        }
        Ok(())
    }
}

fn same_bits(left: &[f32], right: &[f32]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}

fn has_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
}

// What is wrong with a file that should have this size and digest.
fn compare(path: &Path, size: u64, digest: &Digest, read_data: bool) -> Result<Option<String>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(Some("is no file".to_owned())),
        Err(error) => return Ok(Some(format!("cannot be found: {error}"))),
    };
    if metadata.len() != size {
        return Ok(Some(format!("has {} bytes instead of {size}", metadata.len())));
    }
    if !read_data {
        return Ok(None);
    }
    Ok(match digest_of(path) {
        Ok(found) if found == *digest => None,
        Ok(_) => Some("has other bytes than when it was scanned".to_owned()),
        Err(error) => Some(format!("cannot be read: {error}")),
    })
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest(hash.finalize().into())),
            count => hash.update(&piece[..count]),
        }
    }
}
