//! Choosing the lists: which centroids there are, and which row goes where.

use crate::code::{Bits, Coder, Record};
use crate::edit::Edit;
use crate::kernel::{GROUP, Kernels};
use crate::layout::{File, Fixed, NONE, u32_at};
use crate::lists::{Centroids, Damage, LIST, List, Shelf, place_of};
use crate::store::View;

/// Which list a row belongs to, and its code there.
pub(crate) fn choose(
    edit: &Edit<'_>,
    fixed: &Fixed,
    coder: &Coder,
    code: &[u8],
) -> Result<(u32, Bits), Damage> {
    let bytes = edit.base(File::Lists);
    let record = Record::decode(code).ok_or("a code is too short")?;
    let lists = edit.state.lists;
    let centroids = Centroids::new(fixed, lists);
    let missing = "a list has no centroid";
    let list =
        if lists == 1 { 0 } else { nearest(bytes, &centroids, lists, &record).ok_or(missing)? };
    let values = centroids.values(bytes, list).ok_or(missing)?;
    Ok((list, coder.bits(&record, values)))
}

/// The list whose centroid is nearest to a row.
fn nearest(bytes: &[u8], centroids: &Centroids, lists: u32, record: &Record<'_>) -> Option<u32> {
    let kernels = Kernels::get();
    let signed = Signed::new(record);
    let mut best = (f32::INFINITY, 0);
    for list in 0..lists {
        let centroid = centroids.record(bytes, list)?;
        let (product, _) = kernels.bytes(centroid.code, &signed.values, &signed.values);
        let product = (product - signed.offset) as f32 * centroid.scale * signed.scale;
        let square = List::decode(bytes.get(list as usize * LIST..)?).square;
        let distance = square - 2.0 * product;
        if distance < best.0 {
            best = (distance, list);
        }
    }
    Some(best.1)
}

/// A code as what it is compared with others as.
struct Signed {
    values: Vec<i8>,
    scale: f32,
    /// What a product with it is too high by, because bytes are not signed.
    offset: i32,
}

impl Signed {
    fn new(record: &Record<'_>) -> Self {
        let values: Vec<i8> = record
            .code
            .iter()
            .map(|&byte| (i32::from(byte) - 128).clamp(-127, 127) as i8)
            .collect();
        let sum: i32 = values.iter().map(|&value| i32::from(value)).sum();
        Self { values, scale: record.scale, offset: 128 * sum }
    }
}

/// Whether every row is in one list, with the code that it should have there.
pub(crate) fn verify(view: &View, coder: &Coder) -> Result<(), Damage> {
    let lists = view.bytes(File::Lists);
    let (shelf, centroids) =
        (Shelf::new(&view.fixed), Centroids::new(&view.fixed, view.state.lists));
    let mut rows = 0;
    let mut blocks = 0;
    for list in 0..view.state.lists {
        let known = List::decode(lists.get(list as usize * LIST..).ok_or("a list is missing")?);
        let values = centroids.values(lists, list).ok_or("a centroid is missing")?;
        let record = lists.get(centroids.record_at(list));
        if record != Some(&crate::code::encode_turned(values, 0.0))
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
            let of = shelf.block(view.bytes(File::Blocks), block).ok_or("a block is missing")?;
            let full = of.count == GROUP as u32 || block == known.head && of.count > 0;
            if of.list != list || !full || of.count > GROUP as u32 {
                return Err("a block is not as its list needs it");
            }
            for place in 0..of.count {
                let slot = of.slots[place as usize];
                let at = slot as usize * 4;
                let code = view.code(slot).and_then(Record::decode).ok_or("a row has no code")?;
                if slot >= view.state.slots
                    || !view.slot(slot).is_some_and(|slot| slot.is_live())
                    || u32_at(view.bytes(File::Places), at) != place_of(block, place)
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
