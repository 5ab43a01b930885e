//! The list of a row: the one whose centroid is nearest.

use rayon::prelude::*;

use super::{Ended, Stop, finite, record};
use crate::Metric;
use crate::code::{Bits, Coder, Record, encode_turned};
use crate::edit::Edit;
use crate::kernel::Kernels;
use crate::layout::{Damage, Fixed};
use crate::lists::{Centroids, LIST, List};
use crate::view::View;

/// Which list a row belongs to, and its code there.
pub(crate) fn choose(
    edit: &Edit<'_>,
    fixed: &Fixed,
    coder: &Coder,
    code: &[u8],
) -> Result<(u32, Bits), Damage> {
    let record = Record::decode(code).ok_or("a code is too short")?;
    let lists = edit.state.lists;
    let centroids = Centroids::new(fixed, lists);
    let bytes = centroids.all(edit.base()?)?;
    let missing = "a list has no centroid";
    let list =
        if lists == 1 { 0 } else { nearest(bytes, &centroids, lists, &record).ok_or(missing)? };
    let values = centroids.values(bytes, list).ok_or(missing)?;
    Ok((list, coder.bits(&record, values)))
}

/// The list whose centroid is nearest to a row.
pub(super) fn nearest(
    bytes: &[u8],
    centroids: &Centroids,
    lists: u32,
    record: &Record<'_>,
) -> Option<u32> {
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

/// The nearest centroid of each row, and the square of its distance.
pub(super) fn choose_all(
    view: &View,
    slots: &[u32],
    centroids: &[Vec<f32>],
    stop: Stop<'_>,
) -> Result<Vec<(u32, f32)>, Ended> {
    let kernels = Kernels::get();
    let signed: Vec<(Signed, f32)> = centroids
        .iter()
        .map(|values| {
            let square = values.iter().map(|value| value * value).sum();
            let bytes = encode_turned(values, 0.0);
            let record = Record::decode(&bytes).ok_or("a centroid has no code")?;
            Ok((Signed::new(&record), square))
        })
        .collect::<Result<_, Damage>>()?;
    slots
        .par_iter()
        .with_min_len(256)
        .map(|&slot| {
            if slot % 256 == 0 && stop() {
                return Err(Ended::Stopped);
            }
            let record = record(view, slot)?;
            let length: f32 =
                if view.fixed.metric == Metric::Cosine { 1.0 } else { record.norm * record.norm };
            let mut best = (0, f32::INFINITY);
            for (pair, centroids) in signed.chunks(2).enumerate() {
                let (one, other) = (&centroids[0], &centroids[centroids.len() - 1]);
                let products = kernels.bytes(record.code, &one.0.values, &other.0.values);
                for (i, ((signed, square), product)) in
                    [(one, products.0), (other, products.1)].into_iter().enumerate()
                {
                    let product = (product - signed.offset) as f32 * signed.scale * record.scale;
                    let distance = square - 2.0 * product;
                    if distance < best.1 {
                        best = ((pair * 2 + i) as u32, distance);
                    }
                }
            }
            let last = signed.len() as u32 - 1;
            Ok((best.0.min(last), finite(best.1 + length)))
        })
        .collect()
}
