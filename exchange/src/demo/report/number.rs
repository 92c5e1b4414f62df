//! Numbers as text: English grouping, a real minus sign, rounding half away from zero, and no line
//! break between a number and its unit.

use std::fmt::Display;

/// Prices per kWh are small; with fewer decimals than this, neighbours would look equal.
const PRICE_PLACES_MIN: u32 = 4;
/// Prices are in millionths of the currency.
const PRICE_DIGITS: u32 = 6;
/// Energy in Wh is shown in thousandths of a kWh.
const ENERGY_DIGITS: u32 = 3;

/// `value / 10^digits` with `places` decimals, thousands grouped.
pub(super) fn decimal(value: i128, digits: u32, places: u32) -> String {
    let rounded = rounded_magnitude(value, digits, places);
    let unit = 10_u128.pow(places);
    let sign = if value < 0 && rounded > 0 { "−" } else { "" };
    let whole = grouped(rounded / unit);
    match places {
        0 => format!("{sign}{whole}"),
        _ => {
            let width = usize::try_from(places).unwrap_or(usize::MAX);
            format!("{sign}{whole}.{:0width$}", rounded % unit)
        }
    }
}

/// A whole number with its thousands grouped.
pub(super) fn grouped(value: impl Display) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Decimals needed to show every one of these prices exactly.
pub(super) fn price_places(micros: impl IntoIterator<Item = i64>) -> u32 {
    micros
        .into_iter()
        .map(|price| places_needed(price.into(), PRICE_DIGITS))
        .max()
        .map_or(PRICE_PLACES_MIN, |places| places.max(PRICE_PLACES_MIN))
}

/// A price in currency per kWh.
pub(super) fn price(micros: impl Into<i128>, places: u32) -> String {
    decimal(micros.into(), PRICE_DIGITS, places)
}

/// Energy in kWh without its unit, exact.
pub(super) fn energy_exact(wh: impl Into<i128>) -> String {
    decimal(wh.into(), ENERGY_DIGITS, ENERGY_DIGITS)
}

/// Energy with its unit, as short as a sentence needs it.
pub(super) fn energy(wh: impl Into<i128>) -> String {
    let wh = wh.into();
    let places = if wh < 10_000 { ENERGY_DIGITS } else { 1 };
    format!("{}\u{a0}kWh", decimal(wh, ENERGY_DIGITS, places))
}

/// An amount of money in hundredths, without its currency.
pub(super) fn amount(minor: i128) -> String {
    decimal(minor, 2, 2)
}

/// A duration given in microseconds, in the largest unit that leaves a whole part.
pub(super) fn duration(us: impl Into<i128>) -> String {
    let us = us.into();
    let (digits, unit) = match us {
        ..1_000 => (0, "µs"),
        1_000..1_000_000 => (3, "ms"),
        _ => (6, "s"),
    };
    format!("{}\u{a0}{unit}", decimal(us, digits, places_needed(us, digits)))
}

/// `part` of `whole` in percent. Never says 100 % of less than all, nor 0 % of something.
pub(super) fn share(part: impl Into<i128>, whole: impl Into<i128>) -> String {
    let (part, whole) = (part.into(), whole.into());
    if whole <= 0 {
        return "–".to_owned();
    }
    let per_mille = (part * 2_000 + whole) / (whole * 2);
    match per_mille {
        0 if part > 0 => "<\u{a0}0.1\u{a0}%".to_owned(),
        1_000 if part < whole => ">\u{a0}99.9\u{a0}%".to_owned(),
        _ => format!("{}\u{a0}%", decimal(per_mille, 1, 1)),
    }
}

/// A length as a signed number, for arithmetic with coordinates.
pub(super) fn signed(length: usize) -> i128 {
    i128::try_from(length).unwrap_or(i128::MAX)
}

/// Decimals of `value / 10^digits` when trailing zeros are dropped.
pub(super) fn places_needed(value: i128, digits: u32) -> u32 {
    let mut places = digits;
    let mut rest = value;
    while places > 0 && rest % 10 == 0 {
        places -= 1;
        rest /= 10;
    }
    places
}

/// `|value| / 10^digits` in units of the last of `places` decimals.
fn rounded_magnitude(value: i128, digits: u32, places: u32) -> u128 {
    let magnitude = value.unsigned_abs();
    match digits.checked_sub(places) {
        Some(dropped) => {
            let divisor = 10_u128.pow(dropped);
            magnitude / divisor
                + u128::from(magnitude % divisor >= divisor.div_ceil(2)) * u128::from(dropped > 0)
        }
        None => magnitude.saturating_mul(10_u128.pow(places - digits)),
    }
}
