//! Every kind there is, from the journal's golden files.

use std::{
    collections::BTreeSet,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::*;

/// Visits the entries of every golden journal: together they hold every kind there is.
fn each_entry(each: &mut dyn FnMut(&journal::Entry)) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../journal/golden");
    let dirs = fs::read_dir(golden).unwrap().map(|dir| dir.unwrap().path());
    for dir in dirs.collect::<BTreeSet<PathBuf>>() {
        journal::scan(&dir, &mut |entry, _| {
            each(entry);
            ControlFlow::Continue(())
        })
        .unwrap();
    }
}

#[test]
fn every_kind_comes_back_from_its_fields() {
    each_entry(&mut |entry| {
        let text = Value::Object(command_fields(&entry.command)).to_string();
        let fields: Object = serde_json::from_str(&text).unwrap();
        assert_eq!(command_from_fields(&fields), Ok(entry.command), "{text}");
        for (index, event) in entry.events.iter().enumerate() {
            let fields = event_fields(entry.command.seq, entry.command.time, index, event);
            assert_eq!(event_from_fields(&fields), Ok(*event), "{fields:?}");
        }
    });
}

#[test]
fn layouts_are_as_long_as_the_documentation_says() {
    let document = include_str!("../../../docs/journal.md");
    let mut documented = std::collections::BTreeMap::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, kinds, bytes, _, _] = cells[..]
            && let Ok(bytes) = bytes.parse::<u64>()
        {
            for kind in kinds.split(" · ") {
                if let Some((code, name)) = kind.split_once(' ')
                    && code.parse::<u8>().is_ok()
                {
                    documented.insert(name.replace(' ', "_"), bytes);
                }
            }
        }
    }
    let mut compared = BTreeSet::new();
    each_entry(&mut |entry| {
        let command = &entry.command.value;
        assert_eq!(documented.get(command_name(command)), Some(&command_bytes(command)));
        compared.insert(command_name(command));
        for event in &entry.events {
            assert_eq!(documented.get(event_name(event)), Some(&event_bytes(event)));
            compared.insert(event_name(event));
        }
    });
    assert!(compared.iter().copied().eq(documented.keys()), "every kind occurs, and is documented");
}

#[test]
fn what_is_wrong_is_named() {
    let mut fields = Object::new();
    let of = |fields: &Object| command_from_fields(fields).unwrap_err().to_string();
    assert_eq!(of(&fields), "`seq` is missing, expected a position");
    fields.insert("seq".to_owned(), Value::from(1));
    fields.insert("time_ns".to_owned(), Value::from("now"));
    assert_eq!(of(&fields), "`time_ns` is \"now\", expected nanoseconds since 1970");
    fields.insert("time_ns".to_owned(), Value::from("17"));
    fields.insert("command".to_owned(), Value::from("dance"));
    assert_eq!(of(&fields), "`command` is \"dance\", expected the name of a kind of command");
    fields.insert("command".to_owned(), Value::from("open_slot"));
    for (name, number) in [("market", 1), ("start_minute", 0), ("minutes", 7)] {
        fields.insert(name.to_owned(), Value::from(number));
    }
    assert_eq!(of(&fields), "`minutes` is 7 from minute 0 on, expected a delivery slot");
}
