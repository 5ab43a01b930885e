//! The files of a build of the lists.

use rayon::prelude::*;

use super::choose::nearest;
use super::{Plan, record};
use crate::code::Coder;
use crate::kernel::GROUP;
use crate::layout::{Damage, NONE};
use crate::lists::{BlockLayout, Centroids, LIST, List, block_head, empty, place_of};
use crate::store::Built;
use crate::view::View;

/// Carries a plan out for the rows as they are now.
pub(crate) fn carry_out(view: &View, coder: &Coder, plan: &Plan) -> Result<Built, Damage> {
    let fixed = &view.fixed;
    let count = plan.centroids.len();
    let mut lists = empty(fixed, &plan.centroids);
    let layout = Centroids::new(fixed, count as u32);
    let mut members = vec![Vec::new(); count];
    for slot in 0..view.state.slots {
        let known = view.slot(slot)?;
        if !known.is_live() {
            continue;
        }
        let list = match plan.chosen.get(slot as usize) {
            Some(&list) if known.sequence <= plan.sequence => list,
            // Put since the plan was made.
            _ if count == 1 => 0,
            _ => nearest(&lists, &layout, count as u32, &record(view, slot)?)
                .ok_or("a list has no centroid")?,
        };
        members[list as usize].push(slot);
    }
    let block_layout = BlockLayout::new(fixed);
    let mut places = vec![0xff; view.state.slots as usize * 4];
    let mut start = 0_u32;
    let mut starts = Vec::with_capacity(count);
    for (list, members) in members.iter().enumerate() {
        starts.push(start);
        let blocks = members.len().div_ceil(GROUP) as u32;
        let (_, radius) = plan.centroids[list];
        let entry = List {
            head: if blocks == 0 { NONE } else { start },
            count: members.len() as u32,
            radius,
            ..List::decode(&lists[list * LIST..])
        };
        lists[list * LIST..][..LIST].copy_from_slice(&entry.encode());
        // The first block takes what is over, so that all others are full.
        let first = members.len() - (blocks as usize).saturating_sub(1) * GROUP;
        for (i, &slot) in members.iter().enumerate() {
            let (block, place) = match i.checked_sub(first) {
                None => (0, i),
                Some(rest) => (1 + rest / GROUP, rest % GROUP),
            };
            let place = place_of(start + block as u32, place as u32);
            places[slot as usize * 4..][..4].copy_from_slice(&place.to_le_bytes());
        }
        start += blocks;
    }
    let mut blocks = vec![0; start as usize * block_layout.block_len()];
    let mut parts = Vec::with_capacity(count);
    let mut rest = blocks.as_mut_slice();
    for members in &members {
        let (part, more) =
            rest.split_at_mut(members.len().div_ceil(GROUP) * block_layout.block_len());
        parts.push(part);
        rest = more;
    }
    parts.into_par_iter().zip(&members).enumerate().try_for_each(|(list, (part, members))| {
        let values = layout.values(&lists, list as u32).ok_or("a list has no centroid")?;
        let total = members.len().div_ceil(GROUP);
        let mut rows = members.iter();
        for (i, block) in part.chunks_exact_mut(block_layout.block_len()).enumerate() {
            let wanted = if i == 0 { members.len() - (total - 1) * GROUP } else { GROUP };
            let next = match i + 1 {
                next if next == total => NONE,
                next => starts[list] + next as u32,
            };
            let head = block_head(next, list as u32, wanted as u32);
            block[..head.len()].copy_from_slice(&head);
            for (place, &slot) in rows.by_ref().take(wanted).enumerate() {
                let record = record(view, slot)?;
                let bits = coder.bits(&record, values);
                block_layout.fill(block, place, slot, &bits, record.norm);
            }
        }
        Ok::<_, Damage>(())
    })?;
    Ok(Built {
        lists,
        blocks,
        places,
        list_count: count as u32,
        block_count: start,
        reach: plan.reach,
        enough: plan.enough,
    })
}
