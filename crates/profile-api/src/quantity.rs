//! Amounts of a resource, as people write them.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// An amount of a resource in Kubernetes notation: `2`, `500m`, `4Gi`, `1e3`.
///
/// It keeps the text that was written (a JSON number becomes its decimal text). Two quantities are equal when they mean
/// the same amount, however they are written: `1024Mi` equals `1Gi`.
///
/// ```
/// use profile_api::Quantity;
///
/// let quantity: Quantity = serde_json::from_str("2").unwrap();
/// assert_eq!(quantity, Quantity::from("2000m"));
/// assert_eq!(quantity.as_str(), "2");
/// ```
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Quantity(String);

/// The text is not a Kubernetes quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseQuantityError(String);

impl fmt::Display for ParseQuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a quantity: write a number with an optional suffix, such as 2, 500m or 4Gi",
            self.0
        )
    }
}

impl std::error::Error for ParseQuantityError {}

impl Quantity {
    /// The amount as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The amount in billionths (the finest step that Kubernetes keeps; what is finer is rounded away from zero).
    /// Amounts beyond what fits into an `i128` saturate.
    ///
    /// # Errors
    /// When the text is not a quantity.
    pub fn nanos(&self) -> Result<i128, ParseQuantityError> {
        parse_nanos(&self.0).ok_or_else(|| ParseQuantityError(self.0.clone()))
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quantity = Self::from(text);
        quantity.nanos().map(|_| quantity)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || matches!((self.nanos(), other.nanos()), (Ok(a), Ok(b)) if a == b)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl de::Visitor<'_> for NumberOrText {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 2, \"500m\" or \"4Gi\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity::from(text))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount: a whole number, or text such as 500m or 4Gi.",
            "x-kubernetes-int-or-string": true,
            // The pattern of every Kubernetes quantity, less the sign that a limit cannot have.
            "pattern": r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$",
        })
    }
}

/// The decimal digits of a number and the power of ten they are multiplied with.
struct Decimal {
    negative: bool,
    digits: u128,
    exponent: i32,
}

fn parse_nanos(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number = parse_decimal(number)?;
    let (exponent, binary) = parse_suffix(suffix)?;
    Some(scale_to_nanos(&number, exponent, binary))
}

fn parse_decimal(text: &str) -> Option<Decimal> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = Decimal { negative, digits: 0, exponent: 0 };
    for (byte, is_fraction) in whole.bytes().map(|b| (b, false)).chain(fraction.bytes().map(|b| (b, true))) {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'))?;
        match number.digits.checked_mul(10).and_then(|digits| digits.checked_add(digit)) {
            Some(digits) => {
                number.digits = digits;
                number.exponent -= i32::from(is_fraction);
            }
            // More digits than can be told apart: keep the magnitude.
            None => number.exponent = number.exponent.saturating_add(i32::from(!is_fraction)),
        }
    }
    Some(number)
}

/// The power of ten and the power of two that a suffix stands for.
fn parse_suffix(suffix: &str) -> Option<(i32, u32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    })
}

fn scale_to_nanos(number: &Decimal, exponent: i32, binary: u32) -> i128 {
    let power = number.exponent.saturating_add(exponent).saturating_add(9);
    let scaled = number.digits.checked_mul(1 << binary);
    let magnitude = match (scaled, power) {
        (Some(0), _) => 0,
        (None, _) => i128::MAX.unsigned_abs(),
        (Some(digits), 0..) => 10u128
            .checked_pow(power.unsigned_abs())
            .and_then(|factor| digits.checked_mul(factor))
            .unwrap_or(u128::MAX),
        (Some(digits), _) => {
            10u128.checked_pow(power.unsigned_abs()).map_or(1, |factor| digits.div_ceil(factor))
        }
    };
    let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
    if number.negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_amount_written_in_several_ways_is_equal() {
        for (a, b) in [
            ("2", "2000m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.1", "100m"),
            (".5", "500m"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("12e-1", "1.2"),
            ("+5", "5."),
            ("0", "0Gi"),
            ("0.0000000001", "1n"),
        ] {
            assert_eq!(Quantity::from(a), Quantity::from(b), "{a} and {b}");
        }
    }

    #[test]
    fn different_amounts_differ() {
        for (a, b) in [("2", "2m"), ("1G", "1Gi"), ("1", "-1"), ("1E", "1Ei")] {
            assert_ne!(Quantity::from(a), Quantity::from(b), "{a} and {b}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_with_an_example_of_one() {
        for text in ["", "two", "1.2.3", "5 Gi", "Gi", "1gi", "1e", "--1", "."] {
            let error = text.parse::<Quantity>().expect_err(text).to_string();
            assert!(error.contains("such as 2, 500m or 4Gi"), "{error}");
        }
    }

    #[test]
    fn amounts_beyond_all_measure_saturate() {
        let digits = "9".repeat(60);
        assert_eq!(Quantity(digits).nanos(), Ok(i128::MAX));
        assert_eq!(Quantity::from("1e999").nanos(), Ok(i128::MAX));
        assert_eq!(Quantity::from("1e-999").nanos(), Ok(1));
    }

    #[test]
    fn numbers_and_text_are_read_and_text_is_written() {
        let read: Vec<Quantity> = serde_json::from_str(r#"[2, "500m", 0.5]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["2","500m","0.5"]"#);
    }
}
