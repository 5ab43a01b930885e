//! What songs of before have seen, that say nothing of it.
//!
//! Each value becomes one that was left by a write which is made of the value
//! itself. So two libraries that agreed have the same writes, though nobody
//! tells them.

use serde_json::Value;

use crate::{
    Song, Stamp,
    song::keyed::{ANALYSIS, Keyed, analysis_of, is_element},
    version::{LIFE, Op, Version},
};

// The write that left these values at a moment.
fn made_of(key: &str, value: &dyn std::fmt::Display, stamp: Stamp) -> Op {
    Op::made_of(&format!("songrec wrote {key} = {value} at {stamp}"))
}

/// The version of a song that has no history.
pub(crate) fn version_of(song: &Song, keyed: &Keyed) -> Version {
    let mut version = Version::new();
    version.see(song.revision.operation.into());
    let none = Stamp::default();
    let at = |moment| Stamp::after(none, moment);
    let life = || (LIFE.to_owned(), Value::Null);
    // When it came in makes a life: another time is another life.
    let added_at = keyed.values.get("added_at").cloned().unwrap_or_default();
    let added = ("added_at".to_owned(), added_at);
    let op = made_of(LIFE, &format_args!("{} {}", song.id, added.1), none);
    version.leave(op, at(song.added_at), vec![life(), added]);
    let mut rest: Vec<(String, Value)> = Vec::new();
    for (key, value) in &keyed.values {
        if key.starts_with("files.") {
            let op = made_of(key, value, none);
            version.leave(op, none, vec![(key.clone(), value.clone())]);
        } else if !key.starts_with("edits.") && key != LIFE && key != "added_at" {
            rest.push((key.clone(), value.clone()));
        }
    }
    if !rest.is_empty() {
        let all = serde_json::to_string(&rest).unwrap_or_default();
        let op = made_of("tags", &all, at(song.updated_at));
        version.leave(op, at(song.updated_at), rest);
    }
    edits(song, keyed, &mut version);
    let (rank, value) = analysis_of(song);
    version.set_highest(ANALYSIS, rank, value);
    version
}

// Whatever a person said gives life: somebody who deleted the song without
// knowing it does not delete it.
fn edits(song: &Song, keyed: &Keyed, version: &mut Version) {
    let life = || (LIFE.to_owned(), Value::Null);
    for (field, value) in song.edits.iter() {
        let key = format!("edits.{field}");
        // What is shown comes after what lost, also where both are as old.
        let lost = song.conflicts.iter().filter(|one| one.field == *field).map(|one| one.stamp);
        let said_at = song.stamps.get(&key).copied();
        let stamp = match (said_at, lost.max()) {
            (said_at, Some(lost)) if said_at.is_none_or(|said_at| said_at <= lost) => {
                Stamp::after(lost, jiff::Timestamp::UNIX_EPOCH)
            }
            (said_at, _) => said_at.unwrap_or_default(),
        };
        let op = made_of(&key, value, stamp);
        let marker = (key.clone(), keyed.values[&key].clone());
        let begin = format!("{key}=");
        let elements = keyed.elements.iter().filter(|element| element.starts_with(&begin));
        let elements = elements.map(|element| (element.clone(), Value::Null));
        let mut values: Vec<_> = [marker].into_iter().chain(elements).collect();
        if said_at.is_some() {
            values.push(life());
        }
        version.leave(op, stamp, values);
    }
    for conflict in &song.conflicts {
        let key = format!("edits.{}", conflict.field);
        // A list that lost stays as it was, until somebody decides.
        let whole = if conflict.value.is_array() { "the list " } else { "" };
        let op = made_of(&format!("{whole}{key}"), &conflict.value, conflict.stamp);
        debug_assert!(!is_element(&key), "a conflict is about a field");
        version.leave(op, conflict.stamp, vec![(key, conflict.value.clone()), life()]);
    }
    // What the file says again, and what was decided.
    for (name, stamp) in &song.stamps {
        if !keyed.values.contains_key(name) {
            version.leave(made_of("a decision about", name, *stamp), *stamp, vec![life()]);
        }
    }
}
