//! What `gridcross demo --output json` prints, and what must hold of it.

use serde_json::{Map, Value};

/// The demo must end within this time on its own clock: several times what it takes on two quiet cores
/// (`docs/performance.md`), because these checks also run where others work.
const ELAPSED_S_MAX: f64 = 180.0;

const COUNTS: [&str; 9] = [
    "meters",
    "slots",
    "orders",
    "trades",
    "cleared_wh",
    "contracts",
    "complete",
    "partial",
    "failed",
];
/// Counts that are zero only if the demo showed nothing.
const COUNTS_ABOVE_ZERO: [&str; 6] =
    ["meters", "slots", "orders", "trades", "cleared_wh", "contracts"];
const LATENCIES: [&str; 3] = ["p50", "p99", "p999"];

/// What one seed decides: equal in every run of it.
const REPRODUCIBLE: [&str; 6] =
    ["seed", "state_digest", "trades", "cleared_wh", "contracts", "ledger_root"];

/// The figures of one run.
pub(super) struct Figures(Map<String, Value>);

impl Figures {
    /// Reads the whole of standard output as one JSON object.
    pub(super) fn parse(stdout: &str) -> Result<Self, String> {
        match serde_json::from_str(stdout) {
            Ok(Value::Object(figures)) => Ok(Self(figures)),
            Ok(_) => Err("the demo's output is not a JSON object".to_owned()),
            Err(error) => Err(format!("the demo's output is not JSON: {error}")),
        }
    }

    /// Fails with everything that is missing or wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        for key in COUNTS.into_iter().chain(["awaiting"]) {
            if !self.0.get(key).is_some_and(Value::is_u64) {
                problems.push(format!("`{key}` is not a count"));
            }
        }
        for key in COUNTS_ABOVE_ZERO {
            if self.0.get(key).and_then(Value::as_u64) == Some(0) {
                problems.push(format!("`{key}` is 0"));
            }
        }
        for key in ["state_digest", "ledger_root"] {
            if self.0.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                problems.push(format!("`{key}` is not a text"));
            }
        }
        if !self.0.get("seed").is_some_and(|seed| seed.is_number() || seed.is_string()) {
            problems.push("`seed` is missing".to_owned());
        }
        let money_sum = self.0.get("money_sum_minor");
        if money_sum.and_then(Value::as_i64) != Some(0) {
            problems.push(format!("`money_sum_minor` is {}, not 0", shown(money_sum)));
        }
        for key in LATENCIES {
            let latency = self.0.get("ack_latency_us").and_then(|latencies| latencies.get(key));
            if !latency.is_some_and(Value::is_number) {
                problems.push(format!("`ack_latency_us.{key}` is not a number"));
            }
        }
        let elapsed = self.0.get("elapsed_s");
        if !elapsed.and_then(Value::as_f64).is_some_and(|seconds| seconds <= ELAPSED_S_MAX) {
            problems.push(format!("`elapsed_s` is {}, not up to {ELAPSED_S_MAX}", shown(elapsed)));
        }
        none(problems)
    }

    /// Fails with every figure that should be the same in another run of the seed and is not.
    pub(super) fn check_same(&self, other: &Self) -> Result<(), String> {
        let differing =
            REPRODUCIBLE.into_iter().filter(|key| self.0.get(*key) != other.0.get(*key));
        none(
            differing
                .map(|key| {
                    let (one, two) = (shown(self.0.get(key)), shown(other.0.get(key)));
                    format!("`{key}` is {one} in one run and {two} in the next")
                })
                .collect(),
        )
    }

    /// The seed as an argument.
    pub(super) fn seed(&self) -> String {
        match self.0.get("seed") {
            Some(Value::String(seed)) => seed.clone(),
            seed => shown(seed),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("missing".to_owned(), Value::to_string)
}

fn none(problems: Vec<String>) -> Result<(), String> {
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(edit: impl FnOnce(&mut Value)) -> Figures {
        let mut value = json!({
            "seed": 7, "meters": 2405, "slots": 96, "orders": 10, "trades": 5, "cleared_wh": 900,
            "contracts": 5, "complete": 3, "partial": 1, "failed": 1, "awaiting": 0,
            "money_sum_minor": 0, "state_digest": "ab", "ledger_root": "cd",
            "ack_latency_us": { "p50": 80, "p99": 400.5, "p999": 900 }, "elapsed_s": 12.5,
        });
        edit(&mut value);
        Figures::parse(&value.to_string()).unwrap()
    }

    #[test]
    fn good_figures_pass() {
        assert_eq!(figures(|_| {}).check(), Ok(()));
        assert_eq!(figures(|_| {}).seed(), "7");
    }

    #[test]
    fn output_that_is_not_one_object_is_refused() {
        assert!(Figures::parse("").is_err());
        assert!(Figures::parse("[]").is_err());
        assert!(Figures::parse("{} {}").is_err());
    }

    #[test]
    fn every_problem_is_named() {
        let bad = figures(|value| {
            value["trades"] = json!(0);
            value["awaiting"] = json!(-1);
            value["money_sum_minor"] = json!(3);
            value["ack_latency_us"] = json!({ "p50": 1, "p99": 2 });
            value["elapsed_s"] = json!(180.1);
        });
        assert_eq!(
            bad.check().unwrap_err(),
            "`awaiting` is not a count; `trades` is 0; `money_sum_minor` is 3, not 0; \
             `ack_latency_us.p999` is not a number; `elapsed_s` is 180.1, not up to 180"
        );
    }

    #[test]
    fn runs_of_one_seed_may_differ_in_time_only() {
        let first = figures(|_| {});
        assert_eq!(first.check_same(&figures(|value| value["elapsed_s"] = json!(9))), Ok(()));
        assert_eq!(
            first.check_same(&figures(|value| value["ledger_root"] = json!("ef"))).unwrap_err(),
            "`ledger_root` is \"cd\" in one run and \"ef\" in the next"
        );
    }
}
