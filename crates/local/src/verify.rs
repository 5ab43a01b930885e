//! Checks songs, embeddings, audio, catalog and indexes against each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use songrec_core::{
    Digest, DocumentKind, Event, Hint, Job, ModelName, Remedy, Scan, Song, SongId, Work,
};
use songrec_storage::{Finding, Lost, VerifyOptions};

use crate::{
    catalog::{Catalog, Model, RowKind, segment_rows, song_rows},
    database::Database,
    documents::Documents,
    error::{Fault, Result},
    files::stored::{Resolved, id_of},
    files::{Folder, NewFile, names_in},
    index_rows::IndexRows,
    library_file::LibraryFile,
    publish::Publisher,
    rebuild::{ids_of_shard, ids_that_differ, stamps_of_shard},
    recovery::Recovery,
    store::Store,
};

const SCAN_AGAIN: &str = "scan its file again";

fn run_repair() -> Hint {
    Hint::of("run {}", [Remedy::Verify { repair: true, read_data: false }])
}

/// What is found, in the order that it is found in.
struct Findings<'a> {
    found: Vec<Finding>,
    /// Folders that files of songs are in, but which are not there, with the
    /// number of these files.
    missing_folders: BTreeMap<PathBuf, u64>,
    /// Songs without audio here, of which another library has a copy.
    elsewhere: u64,
    /// Songs that were imported without audio, which nobody has yet.
    awaiting: u64,
    /// The models whose indexes are damaged and stay so: what they have is not
    /// compared with songs one by one.
    unusable: BTreeSet<ModelName>,
    repair: bool,
    job: &'a Job,
}

impl Findings<'_> {
    fn add(&mut self, subject: String, problem: String, repaired: bool, hint: impl Into<Hint>) {
        self.job.on(Event::Failed { item: &subject, reason: &problem.as_str().into() });
        let hint = (!repaired).then(|| hint.into());
        self.found.push(Finding { subject, problem, repaired, hint, lost: None });
    }

    /// Something that is made again of the song's audio.
    fn add_lost(&mut self, subject: String, problem: String, repaired: bool, lost: Lost) {
        self.add(subject, problem, repaired, run_repair());
        if let Some(finding) = self.found.last_mut() {
            finding.lost = Some(lost);
        }
    }

    /// Something that a repair puts right.
    fn add_repairable(&mut self, subject: String, problem: String) {
        self.add(subject, problem, self.repair, run_repair());
    }
}

/// Compares everything in a library with everything.
pub(crate) struct Verifier<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    /// Ends early, with what it found, when `job` is interrupted.
    pub(crate) fn verify(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        if options.repair {
            self.store.may_write()?;
        }
        let mut findings = Findings {
            found: Vec::new(),
            missing_folders: BTreeMap::new(),
            elsewhere: 0,
            awaiting: 0,
            unusable: BTreeSet::new(),
            repair: options.repair,
            job,
        };
        job.on(Event::begun(Work::Verifying, None));
        self.verify_library_file(&mut findings)?;
        match self.verify_all(options, &mut findings) {
            // Damage that only shows where it is read.
            Err(fault) if fault.is_damaged_catalog() => {
                self.found_damaged_catalog(&fault.chain(), &mut findings)?;
                if findings.repair {
                    // What is left is found again.
                    findings.found.retain(|finding| finding.repaired);
                    findings.missing_folders.clear();
                    (findings.elsewhere, findings.awaiting) = (0, 0);
                    self.verify_all(options, &mut findings)?;
                }
            }
            done => done?,
        }
        job.on(Event::Finished);
        Ok(findings.found)
    }

    fn verify_all(&self, options: &VerifyOptions, findings: &mut Findings<'_>) -> Result<()> {
        let job = findings.job;
        if !self.verify_catalog(options, findings)? {
            // A damaged catalog is not worth comparing with.
            return Ok(());
        }
        self.verify_models(findings)?;
        if options.read_data {
            self.verify_indexes(findings)?;
        }
        let mut total = 0;
        for shard in 0..=u8::MAX {
            if job.is_interrupted() {
                return Ok(());
            }
            let stale = self.verify_shard(shard, findings)?;
            let ids = ids_of_shard(self.store, shard)?;
            total += ids.len() as u64;
            job.on(Event::Total { total });
            for id in ids.into_keys() {
                if job.is_interrupted() {
                    return Ok(());
                }
                self.verify_song(id, options, stale.contains(&id), findings)?;
                job.on(Event::Advanced { item: &id.short(), bytes: 0 });
            }
            self.verify_segments(shard, findings)?;
        }
        self.verify_rows(options, findings)?;
        self.verify_documents(findings)?;
        self.verify_unfinished(findings)?;
        for (folder, files) in &findings.missing_folders {
            let folder = folder.display();
            let text = format!("`{folder}` with {files} files of songs is not on this machine");
            job.on(Event::Note { text: &text });
        }
        if findings.elsewhere > 0 {
            let text = match findings.elsewhere {
                1 => "1 song has its audio elsewhere: another library keeps a copy".to_owned(),
                songs => {
                    format!(
                        "{songs} songs have their audio elsewhere: another library keeps copies"
                    )
                }
            };
            job.on(Event::Note { text: &text });
        }
        if findings.awaiting > 0 {
            let text = match findings.awaiting {
                1 => "1 song came without audio: a scan of its file brings it".to_owned(),
                songs => format!("{songs} songs came without audio: scans of their files bring it"),
            };
            job.on(Event::Note { text: &text });
        }
        Ok(())
    }

    fn verify_library_file(&self, findings: &mut Findings<'_>) -> Result<()> {
        let Some(damage) = LibraryFile::read(self.store.layout(), self.store.files())?.damage
        else {
            return Ok(());
        };
        if findings.repair {
            self.database.write(|_| {
                let now = LibraryFile::read(self.store.layout(), self.store.files())?;
                now.library.write(self.store.layout(), self.store.files())
            })?;
        }
        let subject = self.store.layout().library_file().display().to_string();
        findings.add_repairable(subject, damage.chain());
        Ok(())
    }

    // Whether the catalog can be used now.
    fn verify_catalog(&self, options: &VerifyOptions, findings: &mut Findings<'_>) -> Result<bool> {
        let thorough = options.read_data;
        let damage =
            match self.database.read_as_it_is(|connection| Catalog::damage(connection, thorough)) {
                Ok(damage) => damage,
                Err(fault @ Fault::Catalog(_)) => Some(fault.chain()),
                Err(other) => return Err(other),
            };
        let Some(damage) = damage else { return Ok(true) };
        self.found_damaged_catalog(&damage, findings)?;
        Ok(findings.repair)
    }

    fn found_damaged_catalog(&self, damage: &str, findings: &mut Findings<'_>) -> Result<()> {
        if findings.repair {
            self.database.build_again(&*findings.job.progress)?;
        }
        let subject = self.store.layout().catalog().display().to_string();
        findings.add_repairable(subject, format!("the catalog is damaged: {damage}"));
        Ok(())
    }

    fn verify_models(&self, findings: &mut Findings<'_>) -> Result<()> {
        for model in self.database.read_as_it_is(Catalog::models)? {
            let path = self.store.layout().model(&model.spec.name);
            let stored = self.store.files().read(&path)?.and_then(|bytes| {
                let spec = serde_json::from_slice::<songrec_core::ModelSpec>(&bytes).ok()?;
                (spec.name == model.spec.name).then_some(spec)
            });
            if stored.as_ref() == Some(&model.spec) {
                continue;
            }
            let problem = match &stored {
                Some(_) => "the catalog says something else about the model than its file",
                None => "the description of the model is missing or damaged",
            };
            if findings.repair {
                match stored {
                    Some(spec) => self.database.write(|transaction| {
                        transaction.commit(|connection| Catalog::set_model(connection, &spec))
                    })?,
                    None => {
                        let bytes =
                            serde_json::to_vec_pretty(&model.spec).map_err(Fault::invalid)?;
                        let path = path.clone();
                        let file = NewFile { path, bytes };
                        self.database.write(|_| self.store.files().store(&[file])).map(drop)?;
                    }
                }
            }
            findings.add_repairable(path.display().to_string(), problem.to_owned());
        }
        Ok(())
    }

    // Files against the catalog, by their stamps. Gives the songs that differ.
    fn verify_shard(&self, shard: u8, findings: &mut Findings<'_>) -> Result<BTreeSet<SongId>> {
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

    fn verify_song(
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

    fn verify_segments(&self, shard: u8, findings: &mut Findings<'_>) -> Result<()> {
        for id in stamps_of_shard(self.store, Folder::Segments, shard)?.into_keys() {
            match self.store.segments_of(id) {
                Ok(segments) => {
                    let unknown = self.database.read(|connection| {
                        let mut unknown = 0;
                        for segment in &segments {
                            let is_known = segment_rows::has(connection, id, segment)?;
                            unknown += u64::from(!is_known);
                        }
                        Ok(unknown)
                    })?;
                    if unknown > 0 {
                        if findings.repair {
                            self.database.write(|transaction| {
                                Publisher::new(transaction).publish_segments(&[id])
                            })?;
                        }
                        findings.add_repairable(
                            subject(id),
                            format!("the catalog does not know {unknown} of its segments"),
                        );
                    }
                }
                Err(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
                    findings.add(subject(id), fault.chain(), false, SCAN_AGAIN);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    // Rows that no song has, and rows that are damaged.
    fn verify_rows(&self, options: &VerifyOptions, findings: &mut Findings<'_>) -> Result<()> {
        for model in self.database.read_as_it_is(Catalog::models)? {
            for kind in [RowKind::Song, RowKind::Segments] {
                let problem = self.database.write(|transaction| {
                    let rows = self.rows_in_use(transaction.connection(), &model, kind);
                    let mut strangers = Vec::new();
                    let ids = match rows.and_then(|rows| rows.map(|rows| rows.ids()).transpose()) {
                        Ok(Some(ids)) => ids,
                        Ok(None) => return Ok(None),
                        // Reported with the index itself where all of it is read.
                        Err(fault) if fault.is_damaged_index() && options.read_data => {
                            return Ok(None);
                        }
                        Err(fault) if fault.is_damaged_index() => {
                            if findings.repair {
                                IndexRows::new(transaction).build(
                                    &model,
                                    kind,
                                    &*findings.job.progress,
                                )?;
                            }
                            return Ok(Some(fault.chain()));
                        }
                        Err(other) => return Err(other),
                    };
                    for id in ids {
                        let known = match kind {
                            RowKind::Song => song_rows::names_embedding(
                                transaction.connection(),
                                SongId::from_bytes(id),
                                &model.spec.name,
                            )?,
                            RowKind::Segments => segment_rows::song_of(
                                transaction.connection(),
                                songrec_core::SegmentId::from_bytes(id),
                            )?
                            .is_some(),
                        };
                        if !known {
                            strangers.push(id);
                        }
                    }
                    if strangers.is_empty() {
                        return Ok(None);
                    }
                    if findings.repair {
                        IndexRows::new(transaction).remove(&model, kind, &strangers)?;
                    }
                    Ok(Some(format!("it has {} rows of songs that are gone", strangers.len())))
                })?;
                if let Some(problem) = problem {
                    findings.add_repairable(index_of(&model, kind), problem);
                }
            }
        }
        Ok(())
    }

    // Indexes whose files are damaged. Before the songs, for each of them would
    // miss its row.
    fn verify_indexes(&self, findings: &mut Findings<'_>) -> Result<()> {
        for model in self.database.read_as_it_is(Catalog::models)? {
            for kind in [RowKind::Song, RowKind::Segments] {
                if findings.job.is_interrupted() {
                    return Ok(());
                }
                let damage = self.database.write(|transaction| {
                    let damage = match self.rows_in_use(transaction.connection(), &model, kind) {
                        Ok(rows) => rows.and_then(|rows| rows.damage()),
                        Err(fault) if fault.is_damaged_index() => Some(fault.chain()),
                        Err(other) => return Err(other),
                    };
                    if damage.is_some() && findings.repair {
                        IndexRows::new(transaction).build(&model, kind, &*findings.job.progress)?;
                    }
                    Ok(damage)
                })?;
                if let Some(damage) = damage {
                    findings.add_repairable(index_of(&model, kind), damage);
                    if kind == RowKind::Song && !findings.repair {
                        findings.unusable.insert(model.spec.name.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn rows_in_use(
        &self,
        connection: &Connection,
        model: &Model,
        kind: RowKind,
    ) -> Result<Option<std::sync::Arc<crate::vectors::Rows>>> {
        match Catalog::vectors(connection, model.m, kind)? {
            Some((folder, _)) => self.store.vectors().open(&model.spec.name, &folder),
            None => Ok(None),
        }
    }

    fn verify_documents(&self, findings: &mut Findings<'_>) -> Result<()> {
        for kind in DocumentKind::ALL {
            for id in Documents::new(self.database).ids(kind)? {
                match Documents::new(self.database).read(kind, &id) {
                    Err(fault @ Fault::Damaged { .. }) => findings.add(
                        format!("{} `{id}`", kind.as_str()),
                        fault.chain(),
                        false,
                        "bring the file back from a backup, or delete it",
                    ),
                    other => drop(other?),
                }
            }
        }
        Ok(())
    }

    fn verify_unfinished(&self, findings: &mut Findings<'_>) -> Result<()> {
        let unfinished = self.database.write(|transaction| {
            let unfinished = self.store.unfinished()?;
            if findings.repair {
                Recovery::new(transaction).remove_unfinished()?;
            }
            Ok(unfinished)
        })?;
        for path in unfinished {
            let problem = "it was left by a write that was cut off".to_owned();
            findings.add_repairable(path.display().to_string(), problem);
        }
        Ok(())
    }
}

fn index_of(model: &Model, kind: RowKind) -> String {
    let of = match kind {
        RowKind::Song => "songs",
        RowKind::Segments => "segments",
    };
    format!("index of {of} by `{}`", model.spec.name)
}

fn subject(id: SongId) -> String {
    format!("song `{id}`")
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
