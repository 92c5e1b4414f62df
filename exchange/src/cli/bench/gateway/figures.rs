//! What came of a run, and how it is printed.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Options,
    server::{Server, Usage},
};
use crate::{
    demo::report,
    exit::Failure,
    load::{
        drive::{Outcome, Until},
        frames::Signing,
        latency::{Latencies, Percentiles},
        rate,
    },
    output::{self, Format},
};

/// Figures of one run. Rates and latencies are of the orders after the warm-up.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// `None` in a closed loop: as many as the window lets through.
    offered_per_s: Option<u64>,
    accepted_per_s: u64,
    accepted: u64,
    rejected: u64,
    rejected_by_reason: BTreeMap<String, u64>,
    unanswered: u64,
    /// What an answer stands for.
    durability: Until,
    /// What writing and syncing a batch of 2 KiB takes in the exchange's directory.
    sync_latency_us: f64,
    latency_us: Percentiles,
    /// The p99 of the session that has the highest.
    worst_session_p99_us: f64,
    sessions: u16,
    frame_orders: u16,
    window_frames: Option<u16>,
    signing: Signing,
    /// Of a hundred orders, how many met another.
    meeting_percent: u8,
    seconds: u16,
    seed: u64,
    /// How late a frame was handed to the network at most, after it was due.
    sent_late_max_us: f64,
    messages_received: u64,
    sessions_lost: Vec<String>,
    exchange_cores_busy: f64,
    exchange_resident_mib: u64,
    version: &'static str,
    #[serde(skip)]
    latencies: Latencies,
}

impl Figures {
    pub(super) fn of(options: &Options, server: &Server, outcome: Outcome, used: &Usage) -> Self {
        let worst = outcome.by_session.iter().map(|session| session.quantile_ns(0.99)).max();
        let elapsed_ms = u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX);
        let warm_up_ms = u64::from(options.warm_up_seconds) * 1_000;
        Self {
            offered_per_s: options.window.is_none().then_some(options.rate),
            accepted_per_s: rate::per_second(outcome.accepted, outcome.elapsed),
            accepted: outcome.accepted,
            rejected: outcome.rejected.values().sum(),
            rejected_by_reason: outcome.rejected,
            unanswered: outcome.unanswered,
            durability: options.until,
            sync_latency_us: us(server.sync_latency),
            latency_us: outcome.latencies.percentiles(),
            worst_session_p99_us: us(Duration::from_nanos(worst.unwrap_or(0))),
            sessions: options.sessions,
            frame_orders: options.frame_orders,
            window_frames: options.window,
            signing: options.sign,
            meeting_percent: options.meeting,
            seconds: options.seconds,
            seed: options.seed,
            sent_late_max_us: us(outcome.late_max),
            messages_received: outcome.messages,
            sessions_lost: outcome.lost,
            exchange_cores_busy: rate::tenths(used.cpu_ms.into(), elapsed_ms + warm_up_ms),
            exchange_resident_mib: used.resident_kib / 1_024,
            version: env!("CARGO_PKG_VERSION"),
            latencies: outcome.latencies,
        }
    }

    /// The number an objective names; `None` where there is no such figure.
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        let latency = &self.latency_us;
        Some(match name {
            "p50" => latency.p50,
            "p90" => latency.p90,
            "p99" => latency.p99,
            "p999" => latency.p999,
            "p9999" => latency.p9999,
            "max" => latency.max,
            "worst_session_p99" => self.worst_session_p99_us,
            "accepted_per_s" => rate::tenths(u128::from(self.accepted_per_s) * 10, 10),
            "rejected" => rate::tenths(u128::from(self.rejected) * 10, 10),
            "unanswered" => rate::tenths(u128::from(self.unanswered) * 10, 10),
            _ => return None,
        })
    }

    /// A page with the distribution of latencies.
    pub(super) fn page(&self) -> String {
        let facts = self.values().into_iter().map(|(name, value)| (name, plain(&value)));
        report::latency_page(
            "Orders over QUIC",
            &facts.collect::<Vec<_>>(),
            self.latencies.histogram(),
        )
    }

    fn values(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(values)) => values,
            Ok(_) | Err(_) => Map::new(),
        }
    }
}

/// Reads an earlier run's JSON.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let unusable = |cause: String| {
        Failure::usage(format!("cannot compare with `{}`: {cause}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err(unusable("it is not the JSON of one run (`--output json`)".to_owned())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Prints the figures; for people, beside those of an earlier run.
pub(super) fn print(
    figures: &Figures,
    before: Option<&Map<String, Value>>,
    format: Format,
) -> Result<(), Failure> {
    match (format, before) {
        (Format::Json, _) => super::super::print(figures, format),
        (Format::Ndjson | Format::Csv, _) => output::print_rows(&[flat(&figures.values())], format),
        (Format::Human, None) => {
            let rows = flat(&figures.values()).into_iter().map(|(figure, value)| {
                let value = plain(&value);
                Row { figure, value }
            });
            output::print_rows(&rows.collect::<Vec<_>>(), format)
        }
        (Format::Human, Some(before)) => {
            let before = flat(before);
            let rows = flat(&figures.values()).into_iter().map(|(figure, value)| {
                let earlier = before.get(&figure);
                Compared {
                    change: change(earlier, &value),
                    before: earlier.map(plain).unwrap_or_default(),
                    now: plain(&value),
                    figure,
                }
            });
            output::print_rows(&rows.collect::<Vec<_>>(), format)
        }
    }
}

#[derive(Serialize)]
struct Row {
    figure: String,
    value: String,
}

#[derive(Serialize)]
struct Compared {
    figure: String,
    before: String,
    now: String,
    change: String,
}

/// In percent of what it was.
#[expect(clippy::float_arithmetic, reason = "a figure for people; nothing is decided by it")]
fn change(before: Option<&Value>, now: &Value) -> String {
    let numbers = before.and_then(Value::as_f64).zip(now.as_f64());
    match numbers.filter(|&(before, _)| before > 0.0) {
        Some((before, now)) => format!("{:+.1} %", (now / before - 1.0) * 100.0),
        None => String::new(),
    }
}

/// Inner objects become columns with their name in front.
fn flat(values: &Map<String, Value>) -> Map<String, Value> {
    let mut columns = Map::new();
    for (name, value) in values {
        if let Value::Object(inner) = value {
            for (part, value) in inner {
                columns.insert(format!("{name}.{part}"), value.clone());
            }
        } else {
            columns.insert(name.clone(), value.clone());
        }
    }
    columns
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn us(duration: Duration) -> f64 {
    rate::tenths(duration.as_nanos(), 1_000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_in_percent_of_what_it_was() {
        assert_eq!(change(Some(&json!(200)), &json!(250.0)), "+25.0 %");
        assert_eq!(change(Some(&json!(0)), &json!(1)), "", "of nothing");
        assert_eq!(change(None, &json!(1)), "");
        assert_eq!(change(Some(&json!("durable")), &json!("durable")), "");
    }
}
