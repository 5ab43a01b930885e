//! Synths of another program.

use std::collections::BTreeMap;

use songrec_core::Digest;
use songrec_formats::peers::{Peer, PeerSynth};

use super::arrive::Arriving;
use crate::{
    Error, ErrorKind, IntakeMode, IntakeOptions, LINK_WEIGHT, Result, SynthFile, SynthIntake,
    link_synths, synths, work::blocking,
};

/// Takes in the synths that another program keeps, and what each comes from. One that is
/// there already, with the same source, stays as it is; so does another one of its name.
pub(super) async fn import_synths(arriving: &mut Arriving<'_>, peer: Peer) -> Result<()> {
    let path = peer.path.clone();
    let found = blocking(move || peer.synths()).await?.map_err(|error| {
        let what = format_args!("the synths of `{}` cannot be read", path.display());
        Error::new(ErrorKind::Corrupt, what).because(error)
    })?;
    if found.synths.is_empty() {
        return Ok(());
    }
    let library = arriving.library;
    let mut by_source: BTreeMap<Digest, String> = BTreeMap::new();
    for kept in &synths(library).await?.synths {
        by_source.insert(*kept.synth.file_hash(), kept.id.clone());
    }
    // The ids here, by those of the other program.
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let options = IntakeOptions { mode: IntakeMode::Add, name: None, dry_run: false };
    let mut intake = SynthIntake::new(library, options).await?;
    for PeerSynth { id, name, path, source } in found.synths {
        if arriving.job.is_interrupted() {
            arriving.imported.interrupted = true;
            break;
        }
        if let Some(known) = by_source.get(&Digest::of(source.as_bytes())) {
            ids.insert(id, known.clone());
            continue;
        }
        let taken = match intake.take_in(&SynthFile { path, text: source }).await {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::Usage => vec![Err(error)],
            Err(error) => return Err(error),
        };
        for one in taken {
            match one {
                Ok(taken) => {
                    arriving.imported.synths += 1;
                    ids.insert(id.clone(), taken.synth.id);
                }
                Err(error) => arriving.fail(name.clone(), error.in_one_line()),
            }
        }
    }
    for (id, error) in intake.finish().await? {
        arriving.imported.synths = arriving.imported.synths.saturating_sub(1);
        ids.retain(|_, known| *known != id);
        arriving.fail(id, error.in_one_line());
    }
    link(arriving, found.links, &ids).await
}

async fn link(
    arriving: &mut Arriving<'_>,
    links: Vec<(String, String, Option<f64>)>,
    ids: &BTreeMap<String, String>,
) -> Result<()> {
    for (child, parent, weight) in links {
        let label = format!("link of {child} to {parent}");
        let (Some(below), Some(above)) = (ids.get(&child), ids.get(&parent)) else {
            arriving.fail(label, "one of these synths is not there".to_owned());
            continue;
        };
        if is_linked(arriving, below, above).await? {
            continue;
        }
        let weight = weight.unwrap_or(LINK_WEIGHT);
        match link_synths(arriving.library, below, above, weight).await {
            Err(error) if error.kind() == ErrorKind::Usage => {
                arriving.fail(label, error.in_one_line());
            }
            linked => drop(linked?),
        }
    }
    Ok(())
}

async fn is_linked(arriving: &Arriving<'_>, child: &str, parent: &str) -> Result<bool> {
    let list = synths(arriving.library).await?;
    let links = list.get(child).map(|kept| list.shown(kept).parents).unwrap_or_default();
    Ok(links.iter().any(|link| link.id == parent))
}
