//! Links between synths, made and ended.

use songrec_core::{Hint, Remedy};

use super::{KeptSynth, SynthLink, SynthList, body::weight, change::change_by, lineage::Graph};
use crate::{Error, Library, Result};

/// How much of a parent a child has if it is not said.
pub const LINK_WEIGHT: f64 = 0.5;

/// Says that a synth comes from another one.
///
/// # Errors
///
/// `Usage` for a weight that is not from 0 to 1, a synth that would come from itself, also
/// by way of others, or a link that is there already; `NotFound` where one is gone.
pub async fn link_synths(
    library: &Library,
    child: &str,
    parent: &str,
    share: f64,
) -> Result<(SynthList, KeptSynth)> {
    let share = weight(share)?;
    let link = |list: &SynthList, synth: &mut super::Synth| {
        let (Some(below), Some(above)) = (list.get(child), list.get(parent)) else {
            return Err(Error::not_found(format_args!("there is no synth `{parent}` any more")));
        };
        if child == parent {
            return Err(Error::usage(format_args!("`{}` cannot come from itself", synth.name)));
        }
        if let Some(link) = synth.parents.iter().find(|link| link.parent == parent) {
            return Err(Error::usage(format_args!(
                "`{}` comes from `{}` already, with the weight {}",
                synth.name, above.synth.name, link.weight
            ))
            .with_hint(Hint::of(
                "{} ends a link, which can then be made again",
                [Remedy::UnlinkSynth],
            )));
        }
        if let Some(way) = Graph::of(list).way_up(above, child) {
            return Err(circle(below, above, &way));
        }
        synth.link(SynthLink::new(parent, &above.synth.name, share))
    };
    let (list, kept) = change_by(library, child, None, link).await?;
    // Somebody else may have linked the other way meanwhile; whoever sees it gives way.
    if let (Some(below), Some(above)) = (list.get(child), list.get(parent))
        && let Some(way) = Graph::of(&list).way_up(above, child)
    {
        let error = circle(below, above, &way);
        unlink_synths(library, child, parent).await?;
        return Err(error);
    }
    Ok((list, kept))
}

fn circle(child: &KeptSynth, parent: &KeptSynth, way: &[&KeptSynth]) -> Error {
    let way: Vec<String> = way.iter().map(|kept| format!("`{}`", kept.synth.name)).collect();
    Error::usage(format_args!(
        "`{}` cannot come from `{}`, which comes from it",
        child.synth.name, parent.synth.name
    ))
    .because(format!("each of these comes from the next one: {}", way.join(", ")))
}

/// Ends a link; also one to a synth that is gone.
///
/// # Errors
///
/// `NotFound` if there is no such link.
pub async fn unlink_synths(
    library: &Library,
    child: &str,
    parent: &str,
) -> Result<(SynthList, KeptSynth)> {
    let unlink = |list: &SynthList, synth: &mut super::Synth| {
        let before = synth.parents.len();
        synth.parents.retain(|link| link.parent != parent);
        if synth.parents.len() == before {
            let name = list.get(parent).map_or(parent, |kept| kept.synth.name());
            return Err(Error::not_found(format_args!(
                "`{}` does not come from `{name}`",
                synth.name
            )));
        }
        Ok(())
    };
    change_by(library, child, None, unlink).await
}
