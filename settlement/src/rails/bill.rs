//! A bill as it is presented, under the public field names of bill payment systems.

use serde::{Deserialize, Serialize};
use types::Currency;

/// A parameter by which a biller knows its customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerParam {
    /// Its name, such as `meter`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A bill. It is paid exactly or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bill {
    /// Who bills: the seller, or its platform.
    pub biller_id: String,
    /// The instruction's number.
    pub bill_number: String,
    /// The day it is presented, `2026-04-01`.
    pub bill_date: String,
    /// The last day to pay it.
    pub due_date: String,
    /// In currency units, with as many decimals as the currency has.
    pub bill_amount: String,
    /// Who is to pay, and for what.
    pub customer_params: Vec<CustomerParam>,
    /// `EXACT`.
    pub payment_amount_exactness: String,
}

/// An amount in minor units with the decimals of its currency: 2,200 paise are `22.00`.
#[must_use]
pub fn decimal(minor: i64, currency: Currency) -> String {
    let places = usize::from(currency.minor_digits());
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", minor.unsigned_abs(), width = places.saturating_add(1));
    let (units, rest) = digits.split_at(digits.len().saturating_sub(places));
    if places == 0 { format!("{sign}{units}") } else { format!("{sign}{units}.{rest}") }
}

/// Minor units of a written amount; `None` where it is none, or has other decimals.
#[must_use]
pub fn minor(text: &str, currency: Currency) -> Option<i64> {
    let decimal = rust_decimal::Decimal::from_str_exact(text).ok()?;
    let scale = u32::from(currency.minor_digits());
    let shifted = decimal.checked_mul(rust_decimal::Decimal::from(10_u64.checked_pow(scale)?))?;
    rust_decimal::prelude::ToPrimitive::to_i64(&shifted).filter(|_| shifted.is_integer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let rupee = Currency::from_iso("INR").unwrap();
        for (paise, text) in [(2_200, "22.00"), (5, "0.05"), (-120, "-1.20"), (0, "0.00")] {
            assert_eq!(decimal(paise, rupee), text);
            assert_eq!(minor(text, rupee), Some(paise));
        }
        let yen = Currency::from_iso("JPY").unwrap();
        assert_eq!((decimal(7, yen), minor("7", yen)), ("7".to_owned(), Some(7)));
        for bad in ["", "1.005", "1e3", "one", "92233720368547758.08"] {
            assert_eq!(minor(bad, rupee), None, "{bad}");
        }
    }
}
