//! Checks songs, embeddings, audio, catalog and indexes against each other.

mod findings;
mod indexes;
mod songs;

use std::collections::{BTreeMap, BTreeSet};

use songrec_core::{DocumentKind, Event, Job, SongId, Work};
use songrec_storage::{Finding, VerifyOptions};

use self::findings::Findings;
use crate::{
    catalog::Catalog,
    database::Database,
    documents::Documents,
    error::{Fault, Result},
    files::NewFile,
    library_file::LibraryFile,
    rebuild::ids_of_shard,
    recovery::Recovery,
    store::Store,
};

/// How audio that is lost or changed is put right.
const SCAN_AGAIN: &str = "scan its file again";

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
        job.on(Event::started(Work::Verifying, None));
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

fn subject(id: SongId) -> String {
    format!("song `{id}`")
}
