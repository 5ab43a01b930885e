//! What a language model can do with synths.

use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Value, json};
use songrec_library::{
    Error, LINK_WEIGHT, Library, SynthCategory, SynthQuery, SynthWithSource, Way, find_synths,
    link_synths, synth_lineage, synth_named, synths, unlink_synths,
};

use super::shape::{document, text, tool, within, writing};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowSynths {
    synth: Option<String>,
    #[serde(default)]
    words: String,
    category: Option<SynthCategory>,
    gate: Option<bool>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    synth: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Linked {
    child: String,
    parent: String,
    weight: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unlinked {
    child: String,
    parent: String,
}

/// The tools that only read; `limit` is how a limit is described.
pub(super) fn reading(limit: &Value) -> [Tool; 2] {
    let categories: Vec<&str> = SynthCategory::ALL.iter().map(|one| one.as_str()).collect();
    [
        tool(
            "synths",
            "Lists the synths of the library, which are definitions for SuperCollider, or shows one with its source.",
            &[],
            json!({ "synth": text("The name or id of one synth"),
                     "words": text("Words, each of which is in the name or the path of the file"),
                     "category": { "type": "string", "enum": categories, "description": "What they are for" },
                     "gate": { "type": "boolean", "description": "Whether they have a gate" },
                     "limit": limit }),
        ),
        tool(
            "synth_lineage",
            "Says which synths a synth comes from, and which come from it.",
            &["synth"],
            json!({ "synth": text("Its name or id") }),
        ),
    ]
}

/// The tools that change something.
pub(super) fn writing_tools() -> [Tool; 2] {
    let (child, parent) = (text("The synth, by name or id"), text("What it comes from"));
    [
        writing(
            "link_synths",
            "Says that a synth comes from another one, or changes how much.",
            &["child", "parent"],
            json!({ "child": child, "parent": parent,
                     "weight": { "type": "number", "minimum": 0, "maximum": 1, "description": "How much of it", "default": LINK_WEIGHT } }),
        ),
        writing(
            "unlink_synths",
            "Says that a synth does not come from another one any more.",
            &["child", "parent"],
            json!({ "child": child, "parent": parent }),
        ),
    ]
}

/// Synths, or one of them.
pub(super) async fn shown(library: &Library, asked: ShowSynths) -> Result<Value, Error> {
    if let Some(name) = asked.synth {
        let (list, kept) = synth_named(library, &name).await?;
        return document(&SynthWithSource::of(&list, &kept));
    }
    let query = SynthQuery {
        words: asked.words.split_whitespace().map(str::to_owned).collect(),
        category: asked.category,
        gate: asked.gate,
        offset: 0,
        limit: within(asked.limit)?,
    };
    document(&find_synths(library, &query).await?)
}

/// What a synth comes from, and what comes from it.
pub(super) async fn lineage(library: &Library, asked: One) -> Result<Value, Error> {
    let (list, kept) = synth_named(library, &asked.synth).await?;
    document(&synth_lineage(&list, &kept, &[Way::Up, Way::Down]))
}

/// Links two of them.
pub(super) async fn link(library: &Library, asked: Linked) -> Result<Value, Error> {
    let list = synths(library).await?;
    let child = list.find_here(library, &asked.child)?.id.clone();
    let parent = list.find_here(library, &asked.parent)?.id.clone();
    let (list, kept) =
        link_synths(library, &child, &parent, asked.weight.unwrap_or(LINK_WEIGHT)).await?;
    document(&list.shown(&kept))
}

/// Ends a link.
pub(super) async fn unlink(library: &Library, asked: Unlinked) -> Result<Value, Error> {
    let list = synths(library).await?;
    let child = list.find_here(library, &asked.child)?.id.clone();
    let parent = list.find_here(library, &asked.parent)?.id.clone();
    let (list, kept) = unlink_synths(library, &child, &parent).await?;
    document(&list.shown(&kept))
}
