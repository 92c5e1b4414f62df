//! `PostgreSQL` beside `SQLite`: the same rows to the byte, a lost connection, and who may write.

use std::path::Path;

use super::{
    fixture::{Desk, settings},
    kills,
    server::{Server, server},
};
use crate::{
    Pipeline, SettlementError,
    store::{
        self,
        database::{DatabaseError, Fault, Lease, Store},
    },
};

/// The server, if the machine has one. `cargo xtask ci` says where it has none.
fn installed() -> Option<&'static Server> {
    let found = server();
    if found.is_none() {
        println!("PostgreSQL is not installed: nothing is compared");
    }
    found
}

fn open(store: &Store, folder: &Path) -> Pipeline {
    Pipeline::open(store, &folder.join("ledger"), settings()).unwrap()
}

#[test]
fn the_same_history_gives_the_same_rows_and_root() {
    let Some(server) = installed() else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [file, table] = &folders;
    let mut one = open(&Store::from(&file.path().join("settlement.db")), file.path());
    let mut other = open(&server.store("compared"), table.path());
    for number in 0..kills::STEPS {
        kills::step(&mut one, number).unwrap();
        kills::step(&mut other, number).unwrap();
        assert_eq!(Desk::dump_of(&one), Desk::dump_of(&other), "step {number}");
        assert_eq!(one.ledger_head(), other.ledger_head());
    }
    assert_eq!(one.checkpoint().unwrap(), other.checkpoint().unwrap());
    assert!(other.audit().unwrap().is_clean());
}

#[test]
fn a_connection_lost_at_any_statement_is_opened_again() {
    let Some(server) = installed() else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [file, table] = &folders;
    let mut one = open(&Store::from(&file.path().join("settlement.db")), file.path());
    let place = server.store("lost");
    let mut other = open(&place, table.path());
    let mut redone = 0;
    for number in 0..kills::STEPS {
        kills::step(&mut one, number).unwrap();
        for statement in [1, 2, 5, 9, 14, 22] {
            other.connection().fail_at(statement, Fault::Lost);
            match kills::step(&mut other, number) {
                Ok(()) => redone += 1,
                // Lost while it committed: nobody knows whether it did, until it is opened again.
                Err(_) => {
                    drop(core::mem::replace(&mut other, Pipeline::in_memory(settings()).unwrap()));
                    other = open(&place, table.path());
                }
            }
        }
        other.connection().fail_at(0, Fault::Lost);
        kills::step(&mut other, number).unwrap();
        assert_eq!(one.ledger_head(), other.ledger_head(), "step {number}");
    }
    assert!(redone > 30, "{redone}");
    assert!(other.audit().unwrap().is_clean());
}

#[test]
fn who_sleeps_while_another_takes_the_lease_writes_nothing() {
    let Some(server) = installed() else { return };
    let place = server.store("leased");
    let folder = tempfile::tempdir().unwrap();
    let mut sleeper = open(&place, folder.path());
    kills::step(&mut sleeper, 0).unwrap();
    let held = store::open(&place).unwrap_err();
    assert!(matches!(
        &held,
        SettlementError::Store { source: DatabaseError::LeaseHeld { .. }, .. }
    ));
    let before = sleeper.ledger_head();
    // It sleeps for longer than its lease lasts.
    let past = "UPDATE leases SET until = 0";
    sleeper.connection().execute_batch(past).unwrap();
    let mut other = open(&place, folder.path());
    let refused = kills::step(&mut sleeper, 2).unwrap_err();
    assert!(matches!(refused, SettlementError::Store { source: DatabaseError::LeaseLost, .. }));
    assert_eq!(other.ledger_head(), before);
    kills::step(&mut other, 2).unwrap();
    let refused = kills::step(&mut sleeper, 2).unwrap_err();
    assert!(matches!(refused, SettlementError::Store { source: DatabaseError::LeaseLost, .. }));
    assert!(other.audit().unwrap().is_clean());
}

/// The lease is taken while a transaction of its holder is open, and before it commits.
#[test]
fn who_sleeps_within_a_transaction_commits_nothing() {
    let Some(server) = installed() else { return };
    let place = server.store("asleep");
    drop(store::open(&place).unwrap());
    let lease = |holder: &str| Lease {
        name: "area/1/20300101".to_owned(),
        holder: holder.to_owned(),
        lasts: core::time::Duration::ZERO,
    };
    let [mut first, mut second] = [(); 2].map(|()| match &place {
        Store::Server(address) => store::database::Connection::connect(address, "").unwrap(),
        Store::File(_) => unreachable!("it is on a server"),
    });
    assert_eq!(first.take_lease(&lease("first")).unwrap(), 1);
    let transaction = first.begin().unwrap();
    let put = "INSERT INTO markets (market, slot_minutes) VALUES (?1, 60)";
    transaction.prepare_cached(put).unwrap().write([7]).unwrap();
    // The first's lease lasts no time: it is over.
    assert_eq!(second.take_lease(&lease("second")).unwrap(), 2);
    assert!(matches!(transaction.commit(), Err(DatabaseError::LeaseLost)));
    let count = "SELECT count(*) FROM markets";
    assert_eq!(second.query_row(count, [], |row| row.get::<i64>(0)).unwrap(), 0);
    let transaction = second.begin().unwrap();
    transaction.prepare_cached(put).unwrap().write([7]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(first.query_row(count, [], |row| row.get::<i64>(0)).unwrap(), 1);
}

#[test]
fn a_server_that_is_not_there_is_said_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().to_string_lossy().replace('/', "%2F");
    let address = format!("postgres://books:secret@{socket}/grid").parse().unwrap();
    let error = store::open(&Store::Server(address)).unwrap_err();
    assert!(error.is_unreachable());
    let said = format!("{error:?} {error}");
    assert!(!said.contains("secret"), "{said}");
}
