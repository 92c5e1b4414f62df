//! What a run must reach, such as `p99<250us`.

use std::{fmt, str::FromStr};

use super::figures::Figures;
use crate::exit::Failure;

/// Latencies, by the names of the figures.
const LATENCIES: [&str; 7] = ["p50", "p90", "p99", "p999", "p9999", "max", "worst_session_p99"];
/// Counts and rates.
const COUNTS: [&str; 3] = ["accepted_per_s", "rejected", "unanswered"];

/// A bound of one figure: of latencies in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Objective {
    text: String,
    figure: String,
    bound: Bound,
    value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Objective {
    fn holds(&self, got: f64) -> bool {
        match self.bound {
            Bound::Below => got < self.value,
            Bound::AtMost => got <= self.value,
            Bound::Above => got > self.value,
            Bound::AtLeast => got >= self.value,
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bounds = [
            ("<=", Bound::AtMost),
            (">=", Bound::AtLeast),
            ("<", Bound::Below),
            (">", Bound::Above),
        ];
        let cut = bounds.into_iter().find_map(|(sign, bound)| {
            let (figure, value) = text.split_once(sign)?;
            Some((figure.trim(), bound, value.trim()))
        });
        let (figure, bound, value) = cut.ok_or_else(|| {
            "has no `<`, `<=`, `>` or `>=`; write for example `p99<250us`".to_owned()
        })?;
        let value = if LATENCIES.contains(&figure) {
            microseconds(value)?
        } else if COUNTS.contains(&figure) {
            value.parse().map_err(|_| format!("`{value}` is not a number"))?
        } else {
            let known = [&LATENCIES[..], &COUNTS[..]].concat().join("`, `");
            return Err(format!("there is no figure `{figure}`; possible are `{known}`"));
        };
        Ok(Self { text: text.to_owned(), figure: figure.to_owned(), bound, value })
    }
}

#[expect(clippy::float_arithmetic, reason = "figures of a benchmark")]
fn microseconds(text: &str) -> Result<f64, String> {
    let units = [("ns", 0.001), ("us", 1.0), ("µs", 1.0), ("ms", 1_000.0), ("s", 1_000_000.0)];
    let cut = units.into_iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let (number, scale) =
        cut.ok_or_else(|| format!("`{text}` has no unit; write for example `250us` or `3ms`"))?;
    let number: f64 = number.trim().parse().map_err(|_| format!("`{number}` is not a number"))?;
    Ok(number * scale)
}

/// Every objective against what was measured.
pub(super) fn check(objectives: &[Objective], figures: &Figures) -> Result<(), Failure> {
    let missed: Vec<_> = objectives
        .iter()
        .filter_map(|objective| {
            let got = figures.figure(&objective.figure)?;
            (!objective.holds(got)).then(|| format!("`{objective}` is missed: {got}"))
        })
        .collect();
    if missed.is_empty() { Ok(()) } else { Err(Failure::objective(missed.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_units_are_read() {
        for (text, got, holds) in [
            ("p99<250us", 249.9, true),
            ("p99<250us", 250.0, false),
            ("p99 <= 0.25ms", 250.0, true),
            ("max<2s", 2_000_000.0, false),
            ("accepted_per_s>=1000000", 1_000_000.0, true),
            ("accepted_per_s>1000000", 1_000_000.0, false),
            ("unanswered<=0", 1.0, false),
        ] {
            let objective: Objective = text.parse().unwrap();
            assert_eq!(objective.holds(got), holds, "{text} with {got}");
        }
    }

    #[test]
    fn an_objective_nobody_can_read_says_why() {
        for (text, why) in [
            ("p99", "has no `<`"),
            ("p99<250", "has no unit"),
            ("p98<250us", "no figure `p98`"),
            ("p99<fastus", "is not a number"),
            ("unanswered<=none", "is not a number"),
        ] {
            let error = text.parse::<Objective>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
