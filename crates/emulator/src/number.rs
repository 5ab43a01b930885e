//! Exact decimal numbers, the way the Data API keeps them.
//!
//! The server reads every number as a decimal of arbitrary size, strips the
//! trailing zeros of fractional literals and writes what is left in scientific
//! notation when that is shorter: `100.0` comes back as `1E+2`, `100` as `100`.

use std::cmp::Ordering;
use std::fmt;

/// A decimal: `digits × 10^exponent`.
///
/// Invariant: the exponent is zero (an integer as it was written), or the
/// digits do not end in zero.
#[derive(Clone)]
pub(crate) struct Number(Repr);

#[derive(Clone)]
enum Repr {
    Small { digits: i64, exponent: i32 },
    Big(Box<Big>),
}

/// What does not fit 64 bits: decimal digits, most significant first.
#[derive(Clone)]
struct Big {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

/// The widest gap between two exponents that arithmetic will bridge.
const MAX_EXPONENT_GAP: i64 = 2_000;
/// `i64::MAX × 10^18` still fits an `i128`.
const MAX_SMALL_SHIFT: i64 = 18;

impl Number {
    /// Reads a JSON number literal; the caller has checked the syntax.
    ///
    /// `None` when the exponent is beyond what any server would keep.
    pub(crate) fn parse(literal: &str) -> Option<Self> {
        if let Ok(digits) = literal.parse::<i64>() {
            return Some(Self(Repr::Small { digits, exponent: 0 }));
        }
        let (mantissa, exponent) = match literal.find(['e', 'E']) {
            Some(at) => {
                let exponent: i64 = literal[at + 1..].parse().ok()?;
                (&literal[..at], exponent)
            }
            None => (literal, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = Vec::with_capacity(whole.len() + fraction.len());
        digits.extend(whole.bytes().chain(fraction.bytes()).map(|b| b - b'0'));
        let integer = whole.len() == literal.len() - usize::from(negative);
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let exponent = i32::try_from(exponent).ok()?;
        Some(Self::from_digits(negative, digits, exponent, !integer))
    }

    pub(crate) fn from_i64(value: i64) -> Self {
        Self(Repr::Small { digits: value, exponent: 0 })
    }

    /// The shortest decimal that reads back as this float.
    pub(crate) fn from_f32(value: f32) -> Self {
        Self::parse(&format!("{value:?}")).unwrap_or_else(|| Self::from_i64(0))
    }

    /// Characters of the text that it is written as.
    pub(crate) fn characters(&self) -> usize {
        struct Counter(usize);
        impl fmt::Write for Counter {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len();
                Ok(())
            }
        }
        let mut counter = Counter(0);
        let _ = fmt::Write::write_fmt(&mut counter, format_args!("{self}"));
        counter.0
    }

    pub(crate) fn zero() -> Self {
        Self::from_i64(0)
    }

    fn from_digits(negative: bool, mut digits: Vec<u8>, mut exponent: i32, strip: bool) -> Self {
        let leading = digits.iter().take_while(|d| **d == 0).count();
        digits.drain(..leading);
        if digits.is_empty() {
            return Self::zero();
        }
        if strip || exponent != 0 {
            while digits.last() == Some(&0) {
                digits.pop();
                exponent = exponent.saturating_add(1);
            }
        }
        if digits.len() <= 18 {
            let value = digits.iter().fold(0_i64, |sum, d| sum * 10 + i64::from(*d));
            let digits = if negative { -value } else { value };
            return Self(Repr::Small { digits, exponent });
        }
        Self(Repr::Big(Box::new(Big { negative, digits, exponent })))
    }

    fn from_i128(value: i128, exponent: i32) -> Self {
        let digits = value.unsigned_abs().to_string().into_bytes();
        let digits = digits.into_iter().map(|b| b - b'0').collect();
        Self::from_digits(value < 0, digits, exponent, exponent != 0)
    }

    fn to_big(&self) -> Big {
        match &self.0 {
            Repr::Big(big) => (**big).clone(),
            Repr::Small { digits, exponent } => Big {
                negative: *digits < 0,
                digits: if *digits == 0 {
                    Vec::new()
                } else {
                    digits.unsigned_abs().to_string().bytes().map(|b| b - b'0').collect()
                },
                exponent: *exponent,
            },
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { digits: 0, .. })
    }

    /// Whether it was written without a fraction and without an exponent.
    pub(crate) fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Small { exponent, .. } => *exponent == 0,
            Repr::Big(big) => big.exponent == 0,
        }
    }

    /// Its value if that is a whole number of 64 bits, however it was written.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small { digits, exponent: 0 } => Some(*digits),
            Repr::Small { digits, exponent } if *exponent > 0 && *exponent <= 18 => {
                10_i64.checked_pow(exponent.unsigned_abs())?.checked_mul(*digits)
            }
            // 19 digits may still fit.
            Repr::Big(big) if big.exponent == 0 && big.digits.len() == 19 => {
                self.to_string().parse().ok()
            }
            _ => None,
        }
    }

    pub(crate) fn to_f64(&self) -> f64 {
        if let Repr::Small { digits, exponent } = &self.0 {
            // Both operands are exact here, so one operation rounds once.
            if digits.unsigned_abs() < 1 << 53 && exponent.unsigned_abs() <= 22 {
                let power = POWERS[exponent.unsigned_abs() as usize];
                let digits = *digits as f64;
                return if *exponent < 0 { digits / power } else { digits * power };
            }
        }
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The sum, or `None` if the exponents are too far apart to write it out.
    pub(crate) fn add(&self, other: &Self) -> Option<Self> {
        if let (Repr::Small { digits: a, exponent: x }, Repr::Small { digits: b, exponent: y }) =
            (&self.0, &other.0)
        {
            let low = (*x).min(*y);
            if let (Some(a), Some(b)) = (shift(*a, *x, low), shift(*b, *y, low)) {
                return Some(Self::from_i128(a + b, low));
            }
        }
        let (a, b) = (self.to_big(), other.to_big());
        let low = a.exponent.min(b.exponent);
        let (left, right) = (a.digits_at(low)?, b.digits_at(low)?);
        if a.negative == b.negative {
            return Some(Self::from_digits(a.negative, sum(&left, &right), low, low != 0));
        }
        Some(match compare_digits(&left, &right) {
            Ordering::Equal => Self::zero(),
            Ordering::Greater => {
                Self::from_digits(a.negative, difference(&left, &right), low, low != 0)
            }
            Ordering::Less => {
                Self::from_digits(b.negative, difference(&right, &left), low, low != 0)
            }
        })
    }

    /// The product, or `None` if its exponent does not fit.
    pub(crate) fn multiply(&self, other: &Self) -> Option<Self> {
        if let (Repr::Small { digits: a, exponent: x }, Repr::Small { digits: b, exponent: y }) =
            (&self.0, &other.0)
        {
            let exponent = x.checked_add(*y)?;
            return Some(Self::from_i128(i128::from(*a) * i128::from(*b), exponent));
        }
        let (a, b) = (self.to_big(), other.to_big());
        let exponent = a.exponent.checked_add(b.exponent)?;
        let digits = product(&a.digits, &b.digits);
        Some(Self::from_digits(a.negative != b.negative, digits, exponent, exponent != 0))
    }
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

fn shift(digits: i64, exponent: i32, low: i32) -> Option<i128> {
    let gap = i64::from(exponent) - i64::from(low);
    if gap > MAX_SMALL_SHIFT {
        return None;
    }
    Some(i128::from(digits) * 10_i128.pow(u32::try_from(gap).ok()?))
}

impl Big {
    /// The digits, as if the exponent were the lower one given.
    fn digits_at(&self, low: i32) -> Option<Vec<u8>> {
        let gap = i64::from(self.exponent) - i64::from(low);
        if gap > MAX_EXPONENT_GAP {
            return None;
        }
        let mut digits = self.digits.clone();
        digits.resize(digits.len() + usize::try_from(gap).ok()?, 0);
        Some(digits)
    }
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let strip = |d: &[u8]| d.iter().take_while(|x| **x == 0).count();
    let (a, b) = (&a[strip(a)..], &b[strip(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(a.len().max(b.len()) + 1);
    let (mut a, mut b, mut carry) = (a.iter().rev(), b.iter().rev(), 0);
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            break;
        }
        let digit = x.unwrap_or(&0) + y.unwrap_or(&0) + carry;
        digits.push(digit % 10);
        carry = digit / 10;
    }
    digits.push(carry);
    digits.reverse();
    digits
}

/// `a − b`, where `a` is not the smaller.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(a.len());
    let (mut b, mut borrow) = (b.iter().rev(), 0);
    for x in a.iter().rev() {
        let take = b.next().unwrap_or(&0) + borrow;
        let (digit, next) = if *x >= take { (x - take, 0) } else { (x + 10 - take, 1) };
        digits.push(digit);
        borrow = next;
    }
    digits.reverse();
    digits
}

fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut cells = vec![0_u32; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        for (j, y) in b.iter().rev().enumerate() {
            cells[i + j] += u32::from(*x) * u32::from(*y);
            // Carry early, so that a cell never overflows however long the numbers.
            if cells[i + j] >= 1_000_000 {
                cells[i + j + 1] += cells[i + j] / 10;
                cells[i + j] %= 10;
            }
        }
    }
    let mut carry = 0;
    for cell in &mut cells {
        let value = *cell + carry;
        carry = value / 10;
        *cell = value % 10;
    }
    cells.iter().rev().map(|c| u8::try_from(*c).unwrap_or(0)).collect()
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Small { digits: a, exponent: x }, Repr::Small { digits: b, exponent: y }) =
            (&self.0, &other.0)
        {
            if x == y {
                return a.cmp(b);
            }
            let low = (*x).min(*y);
            if let (Some(a), Some(b)) = (shift(*a, *x, low), shift(*b, *y, low)) {
                return a.cmp(&b);
            }
        }
        let (a, b) = (self.to_big(), other.to_big());
        let sign = |n: &Big| match (n.digits.is_empty(), n.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        if sign(&a) != sign(&b) || sign(&a) == 0 {
            return sign(&a).cmp(&sign(&b));
        }
        // Same sign: the one whose first digit stands higher is larger.
        let height = |n: &Big| i64::from(n.exponent) + n.digits.len() as i64;
        let magnitude = height(&a).cmp(&height(&b)).then_with(|| {
            let trim = |d: &[u8]| d.len() - d.iter().rev().take_while(|x| **x == 0).count();
            a.digits[..trim(&a.digits)].cmp(&b.digits[..trim(&b.digits)])
        });
        if a.negative { magnitude.reverse() } else { magnitude }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let big;
        let (negative, digits, exponent) = match &self.0 {
            Repr::Small { digits, exponent: 0 } => return write!(f, "{digits}"),
            Repr::Small { digits, exponent } => {
                (*digits < 0, digits.unsigned_abs().to_string(), *exponent)
            }
            Repr::Big(b) => {
                big = b;
                let text: String = big.digits.iter().map(|d| char::from(b'0' + d)).collect();
                (big.negative, text, big.exponent)
            }
        };
        if negative {
            f.write_str("-")?;
        }
        if exponent == 0 {
            return f.write_str(&digits);
        }
        // The rule of java.math.BigDecimal, which writes what the server stores.
        let adjusted = i64::from(exponent) + digits.len() as i64 - 1;
        if exponent < 0 && adjusted >= -6 {
            let point = digits.len() as i64 + i64::from(exponent);
            return match usize::try_from(point) {
                Ok(point) if point > 0 => write!(f, "{}.{}", &digits[..point], &digits[point..]),
                _ => write!(f, "0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or(0))),
            };
        }
        f.write_str(&digits[..1])?;
        if digits.len() > 1 {
            write!(f, ".{}", &digits[1..])?;
        }
        write!(f, "E{adjusted:+}")
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn a_fraction_loses_its_trailing_zeros_and_an_integer_does_not() {
        for (literal, written) in [
            ("100", "100"),
            ("100.0", "1E+2"),
            ("0.0", "0"),
            ("-0", "0"),
            ("1.50", "1.5"),
            ("-0.00010", "-0.0001"),
            ("1e-7", "1E-7"),
            ("0.00000123", "0.00000123"),
            ("12e3", "1.2E+4"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("-1234567890123456789.50", "-1234567890123456789.5"),
        ] {
            assert_eq!(number(literal).to_string(), written, "{literal}");
        }
    }

    #[test]
    fn equal_values_are_equal_however_they_were_written() {
        assert_eq!(number("100"), number("100.00"));
        assert_eq!(number("1e30"), number("1000000000000000000000000000000"));
        assert!(number("1e400") > number("99999999999999999999"));
        assert!(number("-1e400") < number("-5"));
        assert!(number("0.1") < number("0.10000000000000000000000000001"));
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(number("0.1").add(&number("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(
            number("99999999999999999999").add(&number("1")).unwrap().to_string(),
            "100000000000000000000"
        );
        assert_eq!(number("1e30").add(&number("-1e30")).unwrap().to_string(), "0");
        assert_eq!(
            number("12345678901234567890")
                .multiply(&number("-98765432109876543210"))
                .unwrap()
                .to_string(),
            "-1219326311370217952237463801111263526900"
        );
        assert_eq!(number("1.5").add(&number("0.5")).unwrap().to_string(), "2");
        assert!(number("1e100000").add(&number("1")).is_none());
    }

    proptest! {
        #[test]
        fn small_arithmetic_agrees_with_integers(a in any::<i64>(), b in any::<i64>()) {
            let (x, y) = (Number::from_i64(a), Number::from_i64(b));
            prop_assert_eq!(x.add(&y).unwrap().to_string(), (i128::from(a) + i128::from(b)).to_string());
            prop_assert_eq!(x.multiply(&y).unwrap().to_string(), (i128::from(a) * i128::from(b)).to_string());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn big_and_small_paths_agree(a in -1_000_000_000_000_i64..1_000_000_000_000, e in -30_i32..30, b in any::<i64>()) {
            let x = number(&format!("{a}e{e}"));
            let big = number(&format!("{a}000000000000000000000e{}", e - 21));
            prop_assert_eq!(&x, &big);
            let y = Number::from_i64(b);
            prop_assert_eq!(x.cmp(&y), big.cmp(&y));
            prop_assert_eq!(x.add(&y), big.add(&y));
            prop_assert_eq!(number(&x.to_string()), x);
        }

        #[test]
        fn a_float_survives(value in any::<f32>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(Number::from_f32(value).to_f64() as f32, value);
        }
    }
}
