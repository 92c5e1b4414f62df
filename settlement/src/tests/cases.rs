//! Written cases, with what must come out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rehearse::{RehearseError, rehearse, rehearse_value};

const CLEARING_HOUSE: &str = include_str!("../../cases/clearing_house.json");
const MECHANISMS: &str = include_str!("../../cases/mechanisms.json");
const CHANGES: &str = include_str!("../../cases/changes.json");
const CORNERS: &str = include_str!("../../cases/corners.json");

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

/// The case of a name comes out as written.
pub(super) fn comes_out(name: &str) {
    let files = [CLEARING_HOUSE, MECHANISMS, CHANGES, CORNERS];
    let cases = files.map(|file| serde_json::from_str::<Vec<Value>>(file).unwrap()).concat();
    let case = cases.iter().find(|case| case["case"]["name"] == name).unwrap();
    let outcome = rehearse(&case["case"].to_string()).unwrap();
    compare(name, &case["expected"], &serde_json::to_value(outcome).unwrap());
}

#[test]
fn written_cases_come_out_as_written() {
    let mut names = BTreeSet::new();
    for file in [CLEARING_HOUSE, MECHANISMS, CHANGES, CORNERS] {
        let cases: Vec<Value> = serde_json::from_str(file).unwrap();
        for case in cases {
            let name = case["case"]["name"].as_str().unwrap().to_owned();
            let outcome = rehearse(&case["case"].to_string()).unwrap();
            let got = serde_json::to_value(outcome).unwrap();
            compare(&name, &case["expected"], &got);
            assert!(names.insert(name), "two cases of one name");
        }
    }
    assert!(names.len() >= 90);
}

/// Accounts always sum to zero, and rounding leaves nothing.
#[test]
fn no_case_makes_or_loses_money() {
    for file in [CLEARING_HOUSE, MECHANISMS, CHANGES, CORNERS] {
        let cases: Vec<Value> = serde_json::from_str(file).unwrap();
        for case in cases {
            let outcome = rehearse(&case["case"].to_string()).unwrap();
            let sum: i64 = outcome.accounts.values().sum();
            assert_eq!(sum, 0, "{}", outcome.name);
            assert!(!outcome.accounts.keys().any(|name| name.contains("rounding")));
            assert!(!outcome.accounts.keys().any(|name| name.contains("clearing")));
        }
    }
}

fn case() -> Value {
    let cases: Vec<Value> = serde_json::from_str(CLEARING_HOUSE).unwrap();
    cases[0]["case"].clone()
}

/// The retailers of meters stand with the case, or with its contracts.
#[test]
fn retailers_are_named_with_the_case_or_with_a_contract() {
    let retailers = serde_json::json!({"M1": "north", "M7": {"retailer": "north"}});
    let mut with_case = case();
    with_case["meters"] = retailers.clone();
    let mut with_contract = case();
    with_contract["contracts"][0]["meters"] = retailers;
    let both = [&with_case, &with_contract].map(|case| rehearse_value(case.clone()).unwrap());
    assert_eq!(both[0], both[1]);

    with_contract["meters"] = serde_json::json!({"M1": "north"});
    assert_eq!(rehearse_value(with_contract.clone()).unwrap(), both[0]);
    with_contract["meters"] = serde_json::json!({"M1": "south"});
    let two = rehearse_value(with_contract).unwrap_err().to_string();
    assert_eq!(two, "`meters` is not possible: `M1` has two retailers");
}

/// What a case says about itself changes nothing; other fields are refused.
#[test]
fn what_a_case_says_about_itself_is_ignored() {
    let plain = rehearse_value(case()).unwrap();
    let mut told = case();
    for (field, value) in [("group", "a"), ("note", "b"), ("source", "c")] {
        told[field] = value.into();
    }
    told["notes"] = serde_json::json!(["d", {"e": 1}]);
    assert_eq!(rehearse_value(told.clone()).unwrap(), plain);
    told["remark"] = "f".into();
    let unknown = rehearse_value(told).unwrap_err().to_string();
    assert!(unknown.contains("`remark`"), "{unknown}");
}

#[test]
fn what_cannot_be_is_named() {
    let refused = |change: fn(&mut Value)| {
        let mut case = case();
        change(&mut case);
        rehearse_value(case).unwrap_err()
    };
    let mechanism = refused(|case| case["policy"]["mechanism"] = "barter".into());
    assert!(mechanism.to_string().contains("barter"), "{mechanism}");
    let block = refused(|case| case["policy"]["mechanism"] = "block".into());
    assert_eq!((block.code(), block.to_string().contains("policy.block")), ("bad_value", true));
    let event = refused(|case| {
        case["events"][0] = serde_json::json!({"type": "payment", "contract": "T9", "minor": 1});
    });
    assert_eq!(
        event.to_string(),
        "`events[0].contract` is not possible: `T9` is not among the contracts"
    );
    let far = refused(|case| case["events"][0] = serde_json::json!({"type": "day", "to": 10_001}));
    assert!(far.to_string().contains("events[0].to"), "{far}");
    let unknown = refused(|case| case["events"][0]["surprise"] = 1.into());
    assert!(unknown.to_string().contains("`events[0]`"), "{unknown}");
    assert!(unknown.to_string().contains("`surprise`"), "{unknown}");
    let price = refused(|case| case["contracts"][0]["price"] = 5.0.into());
    assert!(price.to_string().starts_with("`contracts[0].price`"), "{price}");
    let nothing = rehearse_value(serde_json::json!({"name": "x"})).unwrap_err();
    assert!(matches!(nothing, RehearseError::Unreadable(_)), "{nothing}");
    assert!(nothing.to_string().contains("`policy`"), "{nothing}");
}
