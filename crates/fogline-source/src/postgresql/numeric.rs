//! PostgreSQL's numeric types, as they travel, into a number.

use sqlx::postgres::PgTypeInfo;
use sqlx::postgres::types::Oid;

/// Digits of `numeric` that count; more change nothing in a double.
const DIGITS_THAT_COUNT: usize = 12;

const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const NUMERIC: u32 = 1_700;

/// Whether values of a type are numbers.
pub(super) fn is_number(info: &PgTypeInfo) -> bool {
    [INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC].iter().any(|oid| info.oid() == Some(Oid(*oid)))
}

/// A number in PostgreSQL's binary form; nothing where it has the wrong length.
pub(super) fn read(info: &PgTypeInfo, bytes: &[u8]) -> Option<f64> {
    let oid = info.oid()?.0;
    #[expect(clippy::cast_precision_loss, reason = "a double is what the engine reckons with")]
    Some(match oid {
        INT2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        INT4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        INT8 => i64::from_be_bytes(bytes.try_into().ok()?) as f64,
        FLOAT4 => f32::from_be_bytes(bytes.try_into().ok()?).into(),
        FLOAT8 => f64::from_be_bytes(bytes.try_into().ok()?),
        NUMERIC => numeric(bytes)?,
        _ => return None,
    })
}

/// `numeric` is counted in digits of 10,000: how many, the power of the first, a sign, how many to show, the digits.
fn numeric(bytes: &[u8]) -> Option<f64> {
    let word = |index: usize| Some(u16::from_be_bytes(bytes.get(index * 2..index * 2 + 2)?.try_into().ok()?));
    let (count, weight, sign) = (usize::from(word(0)?), i32::from(word(1)?.cast_signed()), word(2)?);
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xd000 => return Some(f64::INFINITY),
        0xf000 => return Some(f64::NEG_INFINITY),
        _ => return Some(f64::NAN),
    };
    if bytes.len() != 8 + count * 2 {
        return None;
    }
    // By way of a text, because reading one rounds once and right.
    let mut text = format!("{sign}0");
    let counted = count.min(DIGITS_THAT_COUNT);
    for index in 0..counted {
        text.push_str(&format!("{:04}", word(4 + index)?));
    }
    let power = (weight + 1 - i32::try_from(counted).ok()?) * 4;
    text.push_str(&format!("e{power}"));
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).expect("few");
        let head = [count, weight.cast_unsigned(), sign, 0];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_numeric_is_the_number_that_it_is() {
        for (weight, sign, digits, expected) in [
            (0, 0, &[][..], 0.0),
            (0, 0, &[7], 7.0),
            (1, 0, &[1, 2345], 12_345.0),
            (0, 0x4000, &[3, 2500], -3.25),
            (-1, 0, &[1], 0.0001),
            (-2, 0, &[5000], 0.000_05),
            (2, 0, &[1], 100_000_000.0),
        ] {
            assert_eq!(numeric(&encoded(weight, sign, digits)), Some(expected), "{weight} {sign} {digits:?}");
        }
        assert!(numeric(&encoded(0, 0xc000, &[])).expect("a number of sorts").is_nan());
        assert_eq!(numeric(&encoded(0, 0xd000, &[])), Some(f64::INFINITY));
        assert_eq!(numeric(&encoded(0, 0xf000, &[])), Some(f64::NEG_INFINITY));
        assert_eq!(numeric(&encoded(0, 0, &[1; 40])), Some(1.000_100_010_001));
        assert_eq!(numeric(&encoded(4_000, 0, &[1])), Some(f64::INFINITY));
        for broken in [&[][..], &[0, 1], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(numeric(broken), None, "{broken:?}");
        }
    }
}
