//! Whether the lists are as the rows need them.

use super::record;
use crate::code::{Coder, encode_turned};
use crate::kernel::GROUP;
use crate::layout::{Damage, File, NONE, u32_at};
use crate::lists::{BlockLayout, Centroids, LIST, List, place_of};
use crate::view::View;

/// Whether every row is in one list, with the code that it should have there.
pub(crate) fn verify(view: &View, coder: &Coder) -> Result<(), Damage> {
    let (block_layout, centroids) =
        (BlockLayout::new(&view.fixed), Centroids::new(&view.fixed, view.state.lists));
    let lists = centroids.all(view)?;
    let places = view.bytes(File::Places, 0, view.state.slots as usize * 4)?;
    let mut rows = 0;
    let mut blocks = 0;
    for list in 0..view.state.lists {
        let known = List::decode(lists.get(list as usize * LIST..).ok_or("a list is missing")?);
        let values = centroids.values(lists, list).ok_or("a centroid is missing")?;
        let code = lists.get(centroids.record_at(list));
        if code != Some(&encode_turned(values, 0.0))
            || known.square != values.iter().map(|value| value * value).sum::<f32>()
            || !known.radius.is_finite()
        {
            return Err("a centroid does not match its code");
        }
        let mut block = known.head;
        let mut count = 0;
        while block != NONE {
            blocks += 1;
            if blocks > view.state.blocks {
                return Err("the blocks of a list go in a circle");
            }
            let of = block_layout.block(view, block)?;
            let full = of.count == GROUP as u32 || block == known.head && of.count > 0;
            if of.list != list || !full || of.count > GROUP as u32 {
                return Err("a block is not as its list needs it");
            }
            for place in 0..of.count {
                let slot = of.slots[place as usize];
                let at = slot as usize * 4;
                let code = record(view, slot)?;
                if slot >= view.state.slots
                    || !view.slot(slot)?.is_live()
                    || u32_at(places, at) != place_of(block, place)
                    || of.row(place as usize) != coder.bits(&code, values)
                    || of.factors.norm[place as usize] != code.norm
                {
                    return Err("a row is not in its list");
                }
            }
            count += of.count;
            block = of.next;
        }
        if count != known.count {
            return Err("a list holds more or fewer rows than it says");
        }
        rows += count;
    }
    if rows != view.state.live {
        return Err("the lists hold more or fewer rows than there are");
    }
    Ok(())
}
