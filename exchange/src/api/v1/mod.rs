//! `/v1`: our own reads.

pub(super) mod contracts;
pub(super) mod events;
pub(super) mod market;
pub(super) mod notices;
pub(super) mod settled;
pub(super) mod statements;
pub(super) mod webhook;

use types::Timestamp;

use super::{body::instant, problem::Problem};

/// From the first up to, not including, the second; neither is needed.
fn window(from: Option<&str>, to: Option<&str>) -> Result<(Timestamp, Timestamp), Problem> {
    let from = from.map_or(Ok(Timestamp::from_ns(0)), |text| instant("from", text))?;
    let to = to.map_or(Ok(Timestamp::from_ns(i64::MAX)), |text| instant("to", text))?;
    Ok((from, to))
}

/// Minutes since 1970 of a window.
fn minutes((from, to): (Timestamp, Timestamp)) -> (i64, i64) {
    const MINUTE_NS: i64 = 60_000_000_000;
    let up = |at: Timestamp| at.ns().saturating_add(MINUTE_NS - 1).div_euclid(MINUTE_NS);
    (up(from), up(to))
}

/// How many rows, and after which.
fn page(limit: Option<u32>, after: Option<u64>, most: u32) -> Result<(usize, u64), Problem> {
    let limit = limit.unwrap_or(100);
    if !(1..=most).contains(&limit) {
        let expected = format!("1 to {most}");
        return Err(Problem::bad_value("limit", limit.to_string(), &expected));
    }
    Ok((usize::try_from(limit).unwrap_or(usize::MAX), cursor(after)?))
}

/// Where an answer begins. No row has a number that needs all 64 bits.
fn cursor(after: Option<u64>) -> Result<u64, Problem> {
    let after = after.unwrap_or(0);
    if i64::try_from(after).is_ok() {
        Ok(after)
    } else {
        Err(Problem::bad_value("after", after.to_string(), "`next` of the page before"))
    }
}
