//! Flows against published figures, and what the reader refuses.

use expect_test::{Expect, expect};
use types::Side;

use super::*;

fn bytes_of(flow: &Flow) -> Vec<u8> {
    let mut bytes = Vec::new();
    flow.write_to(&mut bytes).unwrap();
    bytes
}

/// FNV-1a.
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Counts and hashes, as they are published.
fn line(flow: &Flow, result: &FlowResult) -> String {
    let FlowResult { trades, volume, notional, fill_hash, best_price_hash } = result;
    let count = flow.operations().len();
    format!("{count} {trades} {volume} {notional} {fill_hash:016x} {best_price_hash:016x}")
}

fn check_published(workload: Workload, expected: &Expect) {
    let Generated { flow, expected: result } =
        generate(workload, workload.default_size(), workload.default_seed());
    expected.assert_eq(&line(&flow, &result));
}

/// Size and seed to figures and to a hash of every byte.
fn check_generated(workload: Workload, size: u32, seed: u64, expected: &Expect) {
    let Generated { flow, expected: result } = generate(workload, size, seed);
    assert_eq!(ReferenceBooks::result_of(&flow), result);
    let bytes = bytes_of(&flow);
    assert_eq!(Flow::from_bytes(&bytes).unwrap(), flow);
    expected.assert_eq(&format!("{} {:016x}", line(&flow, &result), hash_of(&bytes)));
}

#[test]
fn the_published_flow_of_one_book() {
    check_published(
        Workload::OneBook,
        &expect!["3001000 286532 8524881 85099972637 0afec62e40e8a67b c7b6470c82e646cc"],
    );
}

#[test]
fn the_published_flow_of_the_energy_books() {
    check_published(
        Workload::Energy,
        &expect!["3048000 879964 13095943 10362102677 313aa7607892f883 ecc3477de060e36e"],
    );
}

#[test]
fn the_published_flow_of_the_deep_book() {
    check_published(
        Workload::Deep,
        &expect!["5752045 2710507 88537075 2901160744600 d1566a01d445135a 7db8b4205cda0296"],
    );
}

#[test]
fn other_sizes_and_seeds_give_the_same_bytes_everywhere() {
    check_generated(
        Workload::OneBook,
        2_000,
        7,
        &expect!["3000 205 5850 58505730 2a05e648871a1d73 e914c14c2221918a d4cbe7f7ed370d58"],
    );
    check_generated(
        Workload::OneBook,
        50_000,
        123_456_789,
        &expect!["51000 4855 144439 1443241129 d2a4892e5f759aa5 92a8fb733dd27892 5e46d1c2e33c2fff"],
    );
    check_generated(
        Workload::Energy,
        2_000,
        7,
        &expect!["50000 764 11051 8763274 34133de6e454e8ed bc3220f20f024bca 755f96d5f6bc5292"],
    );
    check_generated(
        Workload::Deep,
        2_000,
        7,
        &expect![
            "1008942 5475 179899 5895133190 219762554483ac31 5f56256eea75b42e e5083fd6bf327d74"
        ],
    );
}

#[test]
fn workloads_are_found_by_number() {
    for workload in Workload::ALL {
        assert_eq!(Workload::from_number(workload.number()), Some(workload));
    }
    assert_eq!(Workload::from_number(0), None);
    assert_eq!(Workload::from_number(4), None);
}

const fn order(id: u64, kind: FlowKind, side: Side, price: u32, quantity: u32) -> FlowOperation {
    FlowOperation { id, price, quantity, account: 1, book: 0, kind, side }
}

/// Applies operations to one book; every operation's fills and the best prices after it.
fn play(operations: &[FlowOperation]) -> String {
    let mut books = ReferenceBooks::new(1);
    let mut result = FlowResult::default();
    let mut text = String::new();
    for operation in operations {
        let before = result;
        books.apply(operation, &mut result);
        let trades = result.trades - before.trades;
        let (volume, notional) = (result.volume - before.volume, result.notional - before.notional);
        let bid = books.best_against(0, Side::Sell).unwrap_or(0);
        let ask = books.best_against(0, Side::Buy).unwrap_or(0);
        let resting = books.resting(0);
        text += &format!("{trades} {volume} {notional} | {resting}: {bid} {ask}\n");
    }
    text
}

#[test]
fn the_reference_trades_by_price_and_time_at_the_price_that_rests() {
    use FlowKind::{Cancel, ImmediateOrCancel, New};
    use Side::{Buy, Sell};
    let operations = [
        order(1, New, Sell, 12, 10),
        order(2, New, Sell, 11, 10),
        order(3, New, Sell, 11, 10),
        order(4, New, Buy, 9, 5),
        // Takes all of 2 and half of 3, at 11.
        order(5, ImmediateOrCancel, Buy, 13, 15),
        // Takes the other half of 3; 12 is too dear, and nothing rests.
        order(6, ImmediateOrCancel, Buy, 11, 20),
        // Takes 4 at 9 and rests at 8.
        order(7, New, Sell, 8, 7),
        order(7, Cancel, Sell, 8, 0),
        // No longer rests.
        order(4, Cancel, Buy, 9, 0),
        order(8, New, Buy, 12, 10),
    ];
    expect![[r#"
        0 0 0 | 1: 0 12
        0 0 0 | 2: 0 11
        0 0 0 | 3: 0 11
        0 0 0 | 4: 9 11
        2 15 165 | 3: 9 11
        1 5 55 | 2: 9 12
        1 5 45 | 2: 0 8
        0 0 0 | 1: 0 12
        0 0 0 | 1: 0 12
        1 10 120 | 0: 0 0
    "#]]
    .assert_eq(&play(&operations));
}

#[test]
fn the_hash_tells_takers_makers_and_order_apart() {
    let hash = |fills: &[(u64, u64, u32, u32)]| {
        let mut result = FlowResult::default();
        fills
            .iter()
            .for_each(|&(taker, maker, price, lots)| result.fill(taker, maker, price, lots));
        result.fill_hash
    };
    let one = hash(&[(3, 1, 10, 5), (3, 2, 10, 5)]);
    assert_ne!(one, hash(&[(3, 2, 10, 5), (3, 1, 10, 5)]));
    assert_ne!(one, hash(&[(3, 1, 10, 5), (2, 3, 10, 5)]));
    assert_ne!(one, hash(&[(3, 1, 5, 10), (3, 2, 10, 5)]));
}

/// Three operations on two books: a new order, its cancellation and one that only takes.
fn small() -> Flow {
    let operations = vec![
        FlowOperation { book: 1, account: 2, ..order(1, FlowKind::New, Side::Sell, 20, 5) },
        FlowOperation { book: 1, account: 0, ..order(1, FlowKind::Cancel, Side::Sell, 20, 0) },
        order(2, FlowKind::ImmediateOrCancel, Side::Buy, 7, 9),
    ];
    let header = FlowHeader {
        operation_count: 3,
        opening_count: 1,
        book_count: 2,
        price_max: 20,
        id_max: 2,
        workload: 2,
        account_count: 2,
        seed: 77,
    };
    Flow::of(header, operations)
}

#[test]
fn the_layout_is_as_documented() {
    let mut text = String::new();
    for word in bytes_of(&small()).as_chunks::<8>().0 {
        let bytes: Vec<_> = word.iter().map(|byte| format!("{byte:02x}")).collect();
        text += &(bytes.join(" ") + "\n");
    }
    expect![[r#"
        45 4f 4c 42 4f 4f 4b 31
        03 00 00 00 00 00 00 00
        01 00 00 00 00 00 00 00
        02 00 00 00 14 00 00 00
        02 00 00 00 00 00 00 00
        02 00 00 00 02 00 00 00
        4d 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00
        01 00 00 00 00 00 00 00
        14 00 00 00 05 00 00 00
        02 00 00 00 01 00 00 01
        01 00 00 00 00 00 00 00
        14 00 00 00 00 00 00 00
        00 00 00 00 01 00 01 01
        02 00 00 00 00 00 00 00
        07 00 00 00 09 00 00 00
        01 00 00 00 00 00 02 00
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_is_written_is_read() {
    let flow = small();
    assert_eq!(Flow::from_bytes(&bytes_of(&flow)).unwrap(), flow);
    let (opening, timed) = flow.parts();
    assert_eq!((opening.len(), timed.len()), (1, 2));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("small.flow");
    flow.write(&path).unwrap();
    assert_eq!(Flow::read(&path).unwrap(), flow);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.flow");
    let says =
        |error: FlowFileError| error.to_string().replace(&path.display().to_string(), "PATH");
    assert_eq!(says(Flow::read(&path).unwrap_err()), "cannot read `PATH`");
    std::fs::write(&path, "not a flow").unwrap();
    assert_eq!(
        says(Flow::read(&path).unwrap_err()),
        "`PATH` is not an order flow: the flow is 10 bytes long, expected 64 or more"
    );
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(OPERATIONS_MAX * 24 + 65).unwrap();
    assert_eq!(
        says(Flow::read(&path).unwrap_err()),
        "`PATH` is not an order flow: the flow is 6442451009 bytes long, \
         expected 6442451008 or fewer"
    );
    let nowhere = path.join("below");
    let error = small().write(&nowhere).unwrap_err();
    assert!(error.to_string().starts_with("cannot write `"), "{error}");
}

/// The reader's answer to the small flow with some bytes overwritten.
fn refusal(at: usize, bytes: &[u8]) -> String {
    let mut flow = bytes_of(&small());
    flow[at..at + bytes.len()].copy_from_slice(bytes);
    match Flow::from_bytes(&flow) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_damaged_header_is_refused() {
    let cases: [(usize, &[u8]); 11] = [
        (0, b"EOLBOOK2"),
        (8, &4_u64.to_le_bytes()),
        (8, &u64::MAX.to_le_bytes()),
        (16, &4_u64.to_le_bytes()),
        (24, &0_u32.to_le_bytes()),
        (24, &65_537_u32.to_le_bytes()),
        (28, &0_u32.to_le_bytes()),
        (32, &3_u64.to_le_bytes()),
        (32, &4_u64.to_le_bytes()),
        (44, &0_u32.to_le_bytes()),
        (56, &1_u64.to_le_bytes()),
    ];
    let answers: Vec<_> = cases.iter().map(|(at, bytes)| refusal(*at, bytes)).collect();
    expect![[r#"
        header: `magic` is `EOLBOOK2`, expected `EOLBOOK1`
        the flow is 136 bytes long, expected 160 for 4 operations
        header: `operation_count` is 18446744073709551615, expected 0 to 268435456
        header: `opening_count` is 4, expected 0 to 3
        header: `book_count` is 0, expected 1 to 65536
        header: `book_count` is 65537, expected 1 to 65536
        header: `price_max` is 0, expected 1 to 4294967295
        header: `id_max` is 3, expected 2, the last id sent
        header: `id_max` is 4, expected 0 to 3
        header: `account_count` is 0, expected 1 to 4294967295
        header: `reserved` is 1, expected 0
    "#]]
    .assert_eq(&(answers.join("\n") + "\n"));
}

#[test]
fn a_damaged_operation_is_refused() {
    const FIRST: usize = HEADER_BYTES;
    const CANCEL: usize = FIRST + OPERATION_BYTES;
    const LAST: usize = CANCEL + OPERATION_BYTES;
    let cases: [(usize, &[u8]); 20] = [
        (FIRST, &0_u64.to_le_bytes()),
        (FIRST, &2_u64.to_le_bytes()),
        (FIRST + 8, &0_u32.to_le_bytes()),
        (FIRST + 8, &21_u32.to_le_bytes()),
        (FIRST + 12, &0_u32.to_le_bytes()),
        (FIRST + 16, &0_u32.to_le_bytes()),
        (FIRST + 16, &3_u32.to_le_bytes()),
        (FIRST + 20, &2_u16.to_le_bytes()),
        (FIRST + 22, &[1]),
        (FIRST + 22, &[3]),
        (FIRST + 23, &[2]),
        (CANCEL, &0_u64.to_le_bytes()),
        (CANCEL, &2_u64.to_le_bytes()),
        (CANCEL, &u64::MAX.to_le_bytes()),
        (CANCEL + 8, &19_u32.to_le_bytes()),
        (CANCEL + 20, &0_u16.to_le_bytes()),
        (CANCEL + 23, &[0]),
        (FIRST + 22, &[2]),
        (LAST, &1_u64.to_le_bytes()),
        (LAST + 12, &0_u32.to_le_bytes()),
    ];
    let answers: Vec<_> = cases.iter().map(|(at, bytes)| refusal(*at, bytes)).collect();
    expect![[r#"
        operation 0 at byte 64: `id` is 0, expected 1, the id after the last
        operation 0 at byte 64: `id` is 2, expected 1, the id after the last
        operation 0 at byte 64: `price` is 0, expected 1 to 20
        operation 0 at byte 64: `price` is 21, expected 1 to 20
        operation 0 at byte 64: `quantity` is 0, expected 1 to 4294967295
        operation 0 at byte 64: `account` is 0, expected 1 to 2
        operation 0 at byte 64: `account` is 3, expected 1 to 2
        operation 0 at byte 64: `book` is 2, expected 0 to 1
        operation 0 at byte 64: `id` is 1, expected the id of an order sent before, and there is none
        operation 0 at byte 64: `kind` is 3, expected 0 (new), 1 (cancel) or 2 (immediate or cancel)
        operation 0 at byte 64: `side` is 2, expected 0 (buy) or 1 (sell)
        operation 1 at byte 88: `id` is 0, expected 1 to 1, an order sent before
        operation 1 at byte 88: `id` is 2, expected 1 to 1, an order sent before
        operation 1 at byte 88: `id` is 18446744073709551615, expected 1 to 1, an order sent before
        operation 1 at byte 88: `price` is 19, expected 20 as in order 1
        operation 1 at byte 88: `book` is 0, expected 1 as in order 1
        operation 1 at byte 88: `side` is 0, expected 1 as in order 1
        operation 1 at byte 88: `id` is 1, expected an order that can rest, not immediate or cancel
        operation 2 at byte 112: `id` is 1, expected 2, the id after the last
        operation 2 at byte 112: `quantity` is 0, expected 1 to 4294967295
    "#]]
    .assert_eq(&(answers.join("\n") + "\n"));
}

#[test]
fn a_flow_of_the_wrong_length_is_refused() {
    let whole = bytes_of(&small());
    let longer = [whole.as_slice(), &[0]].concat();
    let cut = [&whole[..63], &whole[..64], &whole[..whole.len() - 1], &longer];
    let answers: Vec<_> =
        cut.iter().map(|bytes| Flow::from_bytes(bytes).unwrap_err().to_string()).collect();
    expect![[r#"
        the flow is 63 bytes long, expected 64 or more
        the flow is 64 bytes long, expected 136 for 3 operations
        the flow is 135 bytes long, expected 136 for 3 operations
        the flow is 137 bytes long, expected 136 for 3 operations
    "#]]
    .assert_eq(&(answers.join("\n") + "\n"));
}

/// Allocations of the engine's thread while it applies a flow, after the books were filled and 1,024
/// operations more: the first cancellation and the first trade make what they need.
fn allocations(workload: Workload, size: u32) -> u64 {
    const BATCH: usize = 256;
    let Generated { flow, .. } = generate(workload, size, workload.default_seed());
    let mut engine = run::FlowEngine::new(flow.header());
    let mut result = FlowResult::default();
    let opening = flow.operations().iter().take_while(|one| one.kind == FlowKind::New).count();
    let warm = opening.div_ceil(BATCH) + 4;
    let mut count = 0;
    for (index, batch) in flow.operations().chunks(BATCH).enumerate() {
        engine.load(batch);
        let measured = allocation_counter::measure(|| engine.run());
        engine.count(&mut result);
        if index >= warm {
            count += measured.count_total;
        }
    }
    assert!(result.trades > 0);
    count
}

#[test]
fn nothing_is_allocated_after_the_start() {
    for (workload, size) in
        [(Workload::OneBook, 300_000), (Workload::Energy, 100_000), (Workload::Deep, 100_000)]
    {
        assert_eq!(allocations(workload, size), 0, "{workload:?}");
    }
}
