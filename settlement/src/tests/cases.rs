//! Written cases, with what must come out.

use serde_json::Value;

use crate::rehearse::{RehearseError, rehearse, rehearse_value};

const CLEARING_HOUSE: &str = include_str!("../../cases/clearing_house.json");

/// Every field of `expected` is the same in `got`; what is absent in `got` is zero.
fn compare(path: &str, expected: &Value, got: &Value) {
    match expected {
        Value::Object(fields) => {
            for (name, expected) in fields {
                let value = got.get(name).cloned().unwrap_or_else(|| 0.into());
                compare(&format!("{path}.{name}"), expected, &value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            assert_eq!(expected, got, "{path}")
        }
    }
}

#[test]
fn written_cases_come_out_as_written() {
    let cases: Vec<Value> = serde_json::from_str(CLEARING_HOUSE).unwrap();
    assert!(cases.len() >= 15);
    for case in cases {
        let name = case["case"]["name"].as_str().unwrap().to_owned();
        let outcome = rehearse(&case["case"].to_string()).unwrap();
        let got = serde_json::to_value(outcome).unwrap();
        compare(&name, &case["expected"], &got);
    }
}

fn case() -> Value {
    let cases: Vec<Value> = serde_json::from_str(CLEARING_HOUSE).unwrap();
    cases[0]["case"].clone()
}

#[test]
fn what_is_not_supported_is_named() {
    let refused = |change: fn(&mut Value)| {
        let mut case = case();
        change(&mut case);
        rehearse_value(case).unwrap_err()
    };
    let prepaid = refused(|case| case["policy"]["mechanism"] = "prepaid".into());
    assert_eq!(prepaid.code(), "not_supported");
    assert_eq!(prepaid.to_string(), "not supported: policy.mechanism: prepaid");
    let fee = refused(|case| case["policy"]["platform_fee"] = "0.015".into());
    assert_eq!(fee.to_string(), "not supported: policy.platform_fee");
    let event = refused(|case| {
        case["events"][0] = serde_json::json!({
            "type": "modification", "contract": "T1", "by": "buyer", "version": 1,
            "energy_wh": 1, "answer": "reject",
        });
    });
    assert_eq!(event.to_string(), "not supported: events.type: modification");
    let unknown = refused(|case| case["events"][0]["surprise"] = 1.into());
    assert!(matches!(unknown, RehearseError::Unreadable(_)), "{unknown}");
    let price = refused(|case| case["contracts"][0]["price"] = 5.0.into());
    assert_eq!(price.code(), "unreadable");
}
