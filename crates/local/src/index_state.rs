//! How the indexes are, for people.

use songrec_core::ModelName;

use crate::{
    catalog::{Catalog, RowKind},
    database::Database,
    error::Result,
    store::RecordedRows,
    vectors::Building,
};

/// How the index of a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexState {
    /// The model.
    pub model: ModelName,
    /// Whether it holds vectors of segments, and not of songs.
    pub of_segments: bool,
    /// How many vectors it holds.
    pub rows: usize,
    /// In how many lists they are; below 2, searches compare all of them.
    pub lists: usize,
    /// How its lists are.
    pub state: ListsState,
}

/// How the lists of an index are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListsState {
    /// Searches would not become faster.
    Ready,
    /// Searches would become faster with other lists. A process that writes, or
    /// that reads for longer than five seconds, builds them beside its other work.
    Due,
    /// This process is building them.
    BeingBuilt,
    /// This process could not build them, for this reason. Answers are as good.
    Failed(String),
    /// The index is lost, and is made again from the files when it is needed.
    Lost,
}

/// How the indexes are that the catalog records, by model.
pub(crate) fn index_states(database: &Database) -> Result<Vec<IndexState>> {
    let store = database.store();
    database.read_as_it_is(|connection| {
        let mut states = Vec::new();
        for model in Catalog::models(connection)? {
            for kind in [RowKind::Song, RowKind::Segments] {
                let of_segments = kind == RowKind::Segments;
                let name = model.spec.name.clone();
                states.extend(match store.rows_as_recorded(connection, &model, kind)? {
                    RecordedRows::None => None,
                    RecordedRows::Lost(_) => Some(IndexState {
                        model: name,
                        of_segments,
                        rows: 0,
                        lists: 0,
                        state: ListsState::Lost,
                    }),
                    RecordedRows::Rows(rows) => Some(IndexState {
                        model: name,
                        of_segments,
                        rows: rows.len(),
                        lists: rows.lists(),
                        state: match store.vectors().building(&rows) {
                            Building::GoesOn => ListsState::BeingBuilt,
                            Building::Failed(why) => ListsState::Failed(why),
                            Building::No if rows.wants_build() => ListsState::Due,
                            Building::No => ListsState::Ready,
                        },
                    }),
                });
            }
        }
        Ok(states)
    })
}
