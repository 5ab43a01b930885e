//! Vectors as `.npy` files (NumPy's NEP 1, format 1.0), which every tool for
//! numbers can read.

use songrec_core::Vector;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The `.npy` file of one vector: little-endian float32, of shape `(d,)`.
pub(crate) fn encode(vector: &Vector) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", vector.dimension());
    // The values begin at a multiple of 64, and a line feed ends the header.
    let unpadded = MAGIC.len() + 2 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("a header of one number is short");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(vector.to_le_bytes());
    bytes
}

/// The vector of a `.npy` file, or what is wrong with the file.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vector, String> {
    let payload = payload(bytes)?;
    let values = payload
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().expect("chunks of four bytes")));
    Vector::new(values.collect()).map_err(|error| error.to_string())
}

/// The bytes of the values.
fn payload(bytes: &[u8]) -> Result<&[u8], String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is no `.npy` file of format 1.0")?;
    let (length, rest) = rest.split_at_checked(2).ok_or("it ends in its header")?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let (header, payload) = rest.split_at_checked(length).ok_or("it ends in its header")?;
    let header = str::from_utf8(header).map_err(|_| "its header is no text")?;
    let value = |name: &str| {
        let (_, rest) = header.split_once(&format!("'{name}':"))?;
        Some(rest.trim_start())
    };
    if !value("descr").is_some_and(|descr| descr.starts_with("'<f4'")) {
        return Err("its values are not little-endian float32".to_owned());
    }
    let shape = value("shape")
        .and_then(|shape| shape.strip_prefix('(')?.split_once(')'))
        .map(|(shape, _)| shape.trim().trim_end_matches(','))
        .ok_or("it has no shape")?;
    let dimension: usize =
        shape.trim().parse().map_err(|_| format!("its shape is ({shape}), not one number"))?;
    if dimension.checked_mul(4) != Some(payload.len()) {
        return Err(format!("it has {} bytes of values for {dimension} of them", payload.len()));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_comes_back() {
        for dimension in [1, 2, 45, 512, 4097] {
            let values = (0..dimension).map(|i| f32::from_bits(i * 7919 + 1));
            let vector = Vector::new(values.collect()).unwrap();

            let bytes = encode(&vector);

            assert_eq!((bytes.len() - dimension as usize * 4) % 64, 0);
            assert_eq!(decode(&bytes).unwrap().to_le_bytes(), vector.to_le_bytes());
        }
    }

    #[test]
    fn no_damage_panics() {
        let whole = encode(&Vector::new(vec![1.0, 2.0]).unwrap());
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let _ = decode(&damaged);
        }
    }

    #[test]
    fn other_arrays_are_refused() {
        for (from, to) in [("<f4", "<f8"), ("(2,)", "(2,1"), ("(2,)", "(3,)")] {
            let whole = encode(&Vector::new(vec![1.0, 2.0]).unwrap());
            let at = whole.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
            let mut other = whole;
            other[at..at + to.len()].copy_from_slice(to.as_bytes());

            assert!(decode(&other).is_err(), "{to}");
        }
    }
}
