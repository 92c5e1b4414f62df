//! Every format: its samples against the reference book, its losses, its bad rows, and damaged files.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{
    samples::{days, folder},
    *,
};
use crate::{
    flow::{Generated, Random, Workload, generate},
    run::{Executions, Options, Outcome, RunError, run},
};

fn options(path: &Path) -> Options {
    Options {
        format: detect(path).unwrap(),
        scale: Scale::default(),
        levels: 1_024,
        symbol: None,
        from: None,
        to: None,
        speed: None,
        skip_bad: false,
        journal: None,
    }
}

fn run_sample(name: &str, edit: impl FnOnce(&mut Options)) -> Outcome {
    let path = folder().join(name);
    let mut options = options(&path);
    edit(&mut options);
    run(&path, &options, &mut |_| {}).unwrap()
}

/// Runs a text as a file.
fn run_text(text: &str, edit: impl FnOnce(&mut Options)) -> Result<Outcome, RunError> {
    let (_dir, path) = file(text.as_bytes());
    let mut options = options(&path);
    edit(&mut options);
    run(&path, &options, &mut |_| {})
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn formats_are_told_apart() {
    for (name, format) in [
        ("lobster.csv", Format::Lobster),
        ("itch.bin", Format::Itch),
        ("orders.csv", Format::Csv),
        ("orders.ndjson", Format::Ndjson),
        ("mbo.dbn", Format::Dbn),
        (".", Format::Journal),
    ] {
        assert_eq!(detect(&folder().join(name)).unwrap(), format, "{name}");
    }
}

#[test]
fn executions_of_a_file_are_the_fills_of_the_engine() {
    let (one, two) = days();
    #[cfg(feature = "dbn")]
    let dbn = Some(("mbo.dbn", days().1));
    #[cfg(not(feature = "dbn"))]
    let dbn = None;
    for (name, day) in [("lobster.csv", one), ("itch.bin", two)].into_iter().chain(dbn) {
        let outcome = run_sample(name, |_| {});
        assert!(day.fills > 100, "{name}: {}", day.fills);
        assert_eq!(outcome.executions, Executions { equal: day.fills, different: 0 }, "{name}");
        let traded = (outcome.trades, outcome.volume, outcome.notional);
        assert_eq!(traded, (day.fills, day.volume, day.notional), "{name}");
        assert!(outcome.rejects.is_empty(), "{name}: {:?}", outcome.rejects);
        let usual = [Loss::HiddenTrade, Loss::NotAnOrder];
        assert!(outcome.lost.keys().all(|loss| usual.contains(loss)), "{:?}", outcome.lost);
    }
}

#[test]
fn orders_of_a_table_trade_as_in_the_reference_book() {
    let (_, day) = days();
    // The table is in thousandths.
    let thousandths = |options: &mut Options| options.scale.lot = UNIT / 1_000;
    let csv = run_sample("orders.csv", thousandths);
    let ndjson = run_sample("orders.ndjson", |_| {});
    for outcome in [&csv, &ndjson] {
        let traded = (outcome.trades, outcome.volume, outcome.notional);
        assert_eq!(traded, (day.fills, day.volume, day.notional));
        assert!(outcome.rejects.is_empty() && outcome.lost.is_empty(), "{:?}", outcome.lost);
    }
}

#[test]
fn a_flow_trades_as_in_the_reference_book() {
    for workload in [Workload::OneBook, Workload::Energy] {
        let Generated { flow, expected } = generate(workload, 2_000, 5);
        let mut bytes = Vec::new();
        flow.write_to(&mut bytes).unwrap();
        let (_dir, path) = file(&bytes);
        let outcome = run(&path, &options(&path), &mut |_| {}).unwrap();
        assert!(expected.trades > 50);
        let traded = (outcome.trades, outcome.volume, outcome.notional);
        let expected = (expected.trades, expected.volume.into(), expected.notional.into());
        assert_eq!(traded, expected, "{workload:?}");
        // One operation less than the header promises.
        let (_dir, path) = file(&bytes[..bytes.len() - 1]);
        let error = run(&path, &options(&path), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("1 more operations"), "{error}");
    }
}

#[test]
fn one_symbol_can_be_had_alone() {
    let of = |name: &str, symbol: &str| {
        let symbol = Some(symbol.to_owned());
        run_sample(name, |options| {
            options.symbol = symbol;
            options.scale.lot = if name == "orders.csv" { UNIT / 1_000 } else { UNIT };
        })
    };
    let all = run_sample("itch.bin", |_| {}).trades;
    let (sun, wind) = (of("itch.bin", "SUN"), of("itch.bin", "WIND"));
    assert!(sun.trades > 0 && wind.trades > 0);
    assert_eq!(sun.trades + wind.trades, all);
    assert_eq!(of("itch.bin", "2").state_digest, wind.state_digest, "by locate code");
    assert_eq!(of("orders.csv", "SUN").trades, sun.trades);
    assert_eq!(of("orders.ndjson", "WIND").trades, wind.trades);
    assert!(sun.lost.contains_key(&Loss::OtherSymbol));
}

#[test]
fn what_a_book_cannot_use_is_counted() {
    let outcome = run_text(
        "time_ns,action,id,side,price,qty\n\
         1,new,1,buy,10.00,5\n\
         2,new,2,buy,10.005,5\n\
         3,new,3,buy,10.00,0.5\n\
         4,new,4,sell,99.00,5\n\
         5,cancel,4,,,\n\
         6,new,1,buy,10.01,5\n\
         7,market,5,sell,,2\n\
         8,execute,1,,,3\n",
        |_| {},
    )
    .unwrap();
    let expected = [
        (Loss::OffTick, 1),
        (Loss::OffLot, 1),
        (Loss::OutOfBand, 1),
        (Loss::UnknownOrder, 1),
        (Loss::DuplicateOrder, 1),
    ];
    assert_eq!(outcome.lost, expected.into());
    assert_eq!((outcome.trades, outcome.volume), (2, 5));
    assert_eq!(outcome.executions, Executions { equal: 1, different: 0 });
    let empty = run_text("side,qty,type\nbuy,1,market\n", |_| {}).unwrap();
    assert_eq!(empty.lost, [(Loss::EmptyBook, 1)].into());
}

#[test]
fn names_and_units_of_columns_vary() {
    let reference =
        run_text("time_ns,id,side,price,qty\n1000000000,1,buy,1.5,2\n", |_| {}).unwrap();
    for text in [
        "ts,order id,direction,px,size\n1,1,BID,1.50,2.0\n",
        "\u{feff}timestamp_ms,OrderID,Buy-Sell,Limit,Volume\n1000,1,b,\"1.5\",2\n",
        "time,client_order_id,side,limit_price,shares,note\n1970-01-01T00:00:01Z,1,+1,+1.5,2,\"a, b\"\n",
        "{\"timestamp_us\":1000000,\"ref\":1,\"bs\":\"Buy\",\"price\":1.5,\"energy\":\"2\"}\n",
    ] {
        let outcome = run_text(text, |_| {}).unwrap();
        assert_eq!(outcome.state_digest, reference.state_digest, "{text}");
    }
}

#[test]
fn bad_rows_are_shown_or_passed_over() {
    let text = "id,side,price,qty\n1,buy,1,1\n2,up,1,1\n3,buy,one,1\n4,buy,1\n5,buy,1,0\n";
    let error = run_text(text, |_| {}).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 3: `side` is `up`, expected buy or sell\n  \
         line 4: `price` is `one`, expected a decimal number\n  \
         line 5: `line` is `3 columns`, expected 4, as the header has"
    );
    let outcome = run_text(text, |options| options.skip_bad = true).unwrap();
    assert_eq!((outcome.bad_rows, outcome.rows, outcome.rejects.len()), (4, 5, 0));
    for (text, told) in [
        ("hello\n", "line 1: `header` is `hello`"),
        ("34200.1,8,1,1,100,1\n", "line 1: `type` is `8`, expected 1 to 7"),
        ("34200.1,1,1,0,100,1\n", "line 1: `size` is `0`"),
        ("{\"side\":\"buy\"\n", "line 1: `line` is `EOF while parsing"),
    ] {
        let error = run_text(text, |_| {}).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let cut = fs::read(folder().join("itch.bin")).unwrap();
    let (_dir, path) = file(&cut[..cut.len() - 3]);
    let mut options = options(&path);
    // What follows a broken record cannot be found: that is not passed over.
    options.skip_bad = true;
    let error = run(&path, &options, &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("byte ") && error.contains("cut short"), "{error}");
}

#[test]
fn from_and_to_choose_what_is_timed_and_applied() {
    let all = run_sample("orders.csv", |options| options.scale.lot = UNIT / 1_000);
    let noon = types::Timestamp::from_ns(1_782_896_400_300_000_000);
    let late = run_sample("orders.csv", |options| {
        options.scale.lot = UNIT / 1_000;
        options.from = Some(noon);
    });
    assert_eq!(late.state_digest, all.state_digest, "what is before is applied");
    assert!(0 < late.timed && late.timed < all.timed, "{} of {}", late.timed, all.timed);
    let early = run_sample("orders.csv", |options| {
        options.scale.lot = UNIT / 1_000;
        options.to = Some(noon);
    });
    assert!(early.rows < all.rows && early.trades < all.trades);
    // A second of the log at ten times its speed takes a tenth of a second at least.
    let paced = run_sample("orders.csv", |options| {
        options.scale.lot = UNIT / 1_000;
        options.speed = Some(10);
    });
    assert_eq!(paced.state_digest, all.state_digest);
    assert!(paced.elapsed.as_millis() >= 50, "{:?}", paced.elapsed);
}

#[test]
fn damaged_logs_are_refused_or_passed_over_and_never_more() {
    let mut runs = 0;
    let names = ["lobster.csv", "itch.bin", "orders.csv", "orders.ndjson", "mbo.dbn"];
    for name in names {
        let sound = fs::read(folder().join(name)).unwrap();
        let format = detect(&folder().join(name)).unwrap();
        for seed in 0..24 {
            let (_dir, path) = file(&damaged(&sound[..sound.len().min(12_000)], seed));
            let mut options = Options { format, ..options(&path) };
            options.skip_bad = seed % 4 != 0;
            // What it comes to does not matter; that it ends does.
            run(&path, &options, &mut |_| {}).ok();
            runs += 1;
        }
    }
    assert_eq!(runs, 120);
}

/// A few bytes changed, dropped or doubled.
fn damaged(sound: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = sound.to_vec();
    for _ in 0..=random.below(12) {
        let at = usize::try_from(random.below(u64::try_from(bytes.len()).unwrap())).unwrap();
        match random.below(4) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.remove(at)),
            _double => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

#[test]
fn decimals_are_exact() {
    for (text, value) in [
        ("1", Some(UNIT)),
        ("-0.5", Some(-UNIT / 2)),
        ("+12.340000000000", Some(12_340_000_000)),
        (".5", Some(UNIT / 2)),
        ("0.000000001", Some(1)),
        ("0.0000000001", None),
        ("9223372036.9", None),
        ("", None),
        (".", None),
        ("-", None),
        ("1e3", None),
        ("1.-5", None),
    ] {
        assert_eq!(decimal(text), value, "{text}");
    }
}
