//! Segments, and indexes against what they are made of.

use rusqlite::Connection;
use songrec_core::SongId;
use songrec_storage::VerifyOptions;

use super::{Findings, SCAN_AGAIN, Verifier, subject};
use crate::{
    catalog::{Catalog, Model, RowKind, segment_rows, song_rows},
    error::{Fault, Result},
    files::Folder,
    index_rows::IndexRows,
    publish::Publisher,
    rebuild::stamps_of_shard,
};

impl Verifier<'_> {
    pub(super) fn verify_segments(&self, shard: u8, findings: &mut Findings<'_>) -> Result<()> {
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
    pub(super) fn verify_rows(
        &self,
        options: &VerifyOptions,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
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
    pub(super) fn verify_indexes(&self, findings: &mut Findings<'_>) -> Result<()> {
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

    pub(super) fn rows_in_use(
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
}

fn index_of(model: &Model, kind: RowKind) -> String {
    let of = match kind {
        RowKind::Song => "songs",
        RowKind::Segments => "segments",
    };
    format!("index of {of} by `{}`", model.spec.name)
}
