//! Quantities as files write them: plain decimals, exactly.

use rust_decimal::Decimal;

use super::Problem;

/// Digits before the point: below 10^12 of any unit.
const WHOLE_DIGITS_MAX: usize = 12;

/// Digits behind it. Two million numbers of 12 + 9 digits sum to 28 digits, which a decimal holds.
const FRACTION_DIGITS_MAX: usize = 9;

/// Reads digits with at most one point; no exponent, no sign but minus.
pub(super) fn parse(text: &str) -> Result<Decimal, (Problem, &'static str)> {
    const NO_NUMBER: (Problem, &str) = (Problem::Number, "expected a plain decimal number");
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return Err(NO_NUMBER);
    }
    if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > FRACTION_DIGITS_MAX {
        return Err((Problem::Number, "at most 12 digits before the point and 9 behind it"));
    }
    Decimal::from_str_exact(text).map_err(|_| NO_NUMBER)
}

/// The same, and not below zero.
pub(super) fn parse_unsigned(text: &str) -> Result<Decimal, (Problem, &'static str)> {
    let amount = parse(text)?;
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err((Problem::Negative, "a metered quantity is never below zero"));
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_nothing_else_is_a_number() {
        assert_eq!(parse("0.055").unwrap(), Decimal::new(55, 3));
        assert_eq!(parse("-3").unwrap(), Decimal::from(-3));
        assert_eq!(parse(".5").unwrap(), Decimal::new(5, 1));
        for text in ["", ".", "1e3", "1,5", "+1", "--1", "NaN", "0x1", " 1", "1.2.3"] {
            assert_eq!(parse(text).unwrap_err().0, Problem::Number, "{text}");
        }
        assert_eq!(parse("1234567890123").unwrap_err().0, Problem::Number);
        assert_eq!(parse("0.1234567891").unwrap_err().0, Problem::Number);
        assert_eq!(parse_unsigned("-0.001").unwrap_err().0, Problem::Negative);
        assert!(parse_unsigned("-0").is_ok());
    }
}
