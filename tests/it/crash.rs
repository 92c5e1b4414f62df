//! Kill the process at any moment: what platforms were told is still there, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use exchange::{init, node::Layout};
use gateway::{
    Identity, authority,
    client::{Connector, TradingSession, accept_contract, offer_contract, sign_new},
    identity,
};
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD},
    day::{self, text},
    platform::{Platform, price, report},
    program::Running,
    told::{Recovered, Sent, blotter, check_settlement},
    venue::{Venue, config_text, soon},
};
use tokio::sync::watch;
use types::{
    ClientOrderId, Conditions, ContractTerms, DeliverySlot, Energy, MarketId, NewOrder, OrderKind,
    OrderList, Role, Seq, ShardId, Side, SlotKey, TimeInForce, Timestamp,
};
use wire::{
    Inbound, Outbound,
    inbound::{Logon, ResumePoint},
    outbound::{ContractReport, ContractState, ExecType, ExecutionReport},
};

/// Starts the exchange, lets settlement catch up, and stops it again. Returns the position and the
/// state at which it stopped.
fn serve_once(dir: &Path) -> (u64, String) {
    let mut serving = Running::start(["serve", "--data-dir", text(dir)]);
    let recovered = serving.says(" commands up to sequence ");
    let (recovered, _) = recovered.split_once(' ').unwrap();
    let recovered = Seq::new(recovered.parse().unwrap());
    let address = serving.says("listening on ");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    serving.until(|| day::captured(dir) >= recovered);
    serving.terminate();
    let stopped = serving.says("stopped at sequence ");
    let (seq, rest) = stopped.split_once(", state ").unwrap();
    let state = rest.split(' ').next().unwrap();
    let stopped = (seq.parse().unwrap(), state.to_owned());
    assert_eq!(serving.code(), Some(0));
    stopped
}

fn blotter_bytes(dir: &Path) -> u64 {
    let bytes = |platform| {
        let file = dir.join("blotter").join(format!("platform-{platform}.csv"));
        fs::metadata(file).map_or(0, |metadata| metadata.len())
    };
    (1..=3).map(bytes).sum()
}

#[test]
fn a_killed_day_recovers_what_platforms_were_told() {
    // Bytes of blotters after which the process is killed: the first orders, the first trades, and
    // in the middle of everything.
    for bytes in [1_000, 12_000, 30_000] {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("day");
        let demo = ["demo", "--meters", "120", "--slots", "24", "--keep", "--data-dir", text(&dir)];
        let mut demo = Running::start(demo);
        demo.until(|| blotter_bytes(&dir) >= bytes);
        demo.kill();

        let (seq, state) = serve_once(&dir);
        let verified = day::replay(&dir);
        assert_eq!((verified.last_seq.get(), verified.state_digest.to_string()), (seq, state));
        let recovered = Recovered::read(&dir);
        for platform in 1..=3 {
            let told = blotter(&dir, platform);
            let known: BTreeSet<_> = recovered.lines_of(platform).into_iter().collect();
            let once: BTreeSet<_> = told.iter().cloned().collect();
            assert_eq!(once.len(), told.len(), "platform {platform} was told something twice");
            let lost: Vec<_> = once.difference(&known).collect();
            assert!(lost.is_empty(), "platform {platform} was told what is gone: {lost:?}");
        }
        let told: usize = (1..=3).map(|platform| blotter(&dir, platform).len()).sum();
        assert!(told > 10, "the kill came after {told} reports");
        check_settlement(&dir, &recovered);
    }
}

#[test]
fn starting_again_changes_nothing() {
    let copy = day::copy();
    let first = serve_once(copy.path());
    let second = serve_once(copy.path());
    let verified = day::replay(copy.path());
    assert_eq!(second, (verified.last_seq.get(), verified.state_digest.to_string()));
    // The machine's clock opens and closes books: only then is there a further command.
    if first.0 == second.0 {
        assert_eq!(first, second);
    }
    check_settlement(copy.path(), &Recovered::read(copy.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_at_one_instant_keep_the_state() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 100, 500);
    first.accepted(sell).await;
    let buy = second.order(SECOND, Side::Buy, 100, 300);
    second.accepted(buy).await;
    drop((first, second));
    let (venue, before) = venue.restart().await;
    let durable = venue.durable();
    let (venue, once) = venue.restart().await;
    assert_eq!(venue.first().recovered.last_seq, durable);
    assert_eq!(venue.first().recovered.torn_bytes, 0);
    let (venue, twice) = venue.restart().await;
    assert_eq!((once, twice), (before, before));
    venue.close().await;
}

/// The directory of an exchange in which books are open for a whole day, so that one is open
/// whatever the machine's clock says; and the slots that are in their continuous phase.
pub(super) fn always_open(dir: &Path) -> Vec<SlotKey> {
    let config = config_text()
        .replace("opening_lead_minutes = 60", "opening_lead_minutes = 1440")
        .replace("uncross_lead_minutes = 30", "uncross_lead_minutes = 1430");
    fs::create_dir_all(dir).unwrap();
    let layout = Layout::new(dir);
    init::write_directory(&layout, &cast::registry(), &config, &cast::ledger_key()).unwrap();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let minute = u32::try_from(since.as_secs() / 60).unwrap();
    let first = (minute + 360).next_multiple_of(15);
    let slot = |start| DeliverySlot::new(start, 15).unwrap();
    let slots = (0..20).map(|number| slot(first + 15 * number));
    slots.map(|slot| SlotKey { market: MarketId::new(1), slot }).collect()
}

pub(super) fn connector(dir: &Path, address: &str, platform: u16) -> Connector {
    let keys = Layout::new(dir).keys();
    let party = cast::party(Role::Platform, platform);
    Connector {
        address: address.parse().unwrap(),
        server_name: "localhost".to_owned(),
        identity: Identity::load(&keys, &authority::file_name(party)).unwrap(),
        authority: identity::load_certificates(&keys.join("ca.crt")).unwrap(),
    }
}

/// Order number `number` of a platform: platform 1 sells and platform 2 buys, with two meters each.
fn order(platform: u16, number: u64, slots: &[SlotKey]) -> NewOrder {
    let (side, meters) = match platform {
        1 => (Side::Sell, [FIRST, THIRD]),
        _ => (Side::Buy, [SECOND, FOURTH]),
    };
    let index = usize::try_from(number).unwrap();
    let key = slots[index % slots.len()];
    NewOrder {
        client_order: ClientOrderId::new(number),
        meter: meters[index % 2],
        key,
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::UntilGate,
        limit: price(100),
        quantity: Energy::from_wh(10 + 10 * (number % 3)),
        valid_until: Timestamp::from_ns(key.slot.start().ns()),
        conditions: Conditions::NONE,
        list: OrderList::NONE,
    }
}

/// What a platform sent and what it was told before it lost the exchange.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) sent: BTreeMap<Sent, NewOrder>,
    told: Vec<ExecutionReport>,
}

/// Sends orders until the exchange is killed. Counts acceptances in `acked`.
async fn trade_until_killed(
    mut session: TradingSession,
    platform: u16,
    slots: Vec<SlotKey>,
    acked: Arc<AtomicUsize>,
    mut killed: watch::Receiver<bool>,
) -> Record {
    let mut record = Record::default();
    // No more than a few frames are unanswered, so that something is always on its way.
    let (mut number, mut open) = (1, 0_usize);
    loop {
        if open < 16 {
            let orders: Vec<_> = (number..number + 8).map(|n| order(platform, n, &slots)).collect();
            number += 8;
            open += orders.len();
            let message = |order: &NewOrder| sign_new(&cast::meter_key(order.meter), *order);
            let messages: Vec<Inbound> = orders.iter().map(message).collect();
            let sent = orders.iter().map(|order| ((platform, order.client_order.get()), *order));
            record.sent.extend(sent);
            soon(session.sender.send(&messages)).await.unwrap();
        }
        // What has arrived counts, also after the kill.
        let message = tokio::select! {
            biased;
            message = session.receiver.next() => message.unwrap(),
            _ = killed.wait_for(|&killed| killed) => return record,
        };
        let Outbound::ExecutionReport(report) = message else {
            panic!("platform {platform} was told {message:?}");
        };
        if report.exec_type == ExecType::New {
            open -= 1;
            acked.fetch_add(1, Ordering::Relaxed);
        }
        record.told.push(report);
    }
}

/// Acknowledged, recovered and sent: each is contained in the next, field by field.
fn check_record(platform: u16, record: &Record, recovered: &Recovered) {
    for report in &record.told {
        let sent = (platform, report.client_order.get());
        let (order, accepted) =
            recovered.orders.get(&sent).expect("what was acknowledged is there");
        assert_eq!(accepted.order, report.order);
        match report.exec_type {
            ExecType::New => {
                assert_eq!((report.quantity, report.price), (order.quantity, order.limit));
            }
            ExecType::Trade => {
                let trade = recovered.trades.get(&report.trade.get()).expect("a told trade");
                let side = if platform == 1 { &trade.sell } else { &trade.buy };
                assert_eq!((side.order, side.leaves), (report.order, report.leaves));
                assert_eq!((trade.quantity, trade.price), (report.quantity, report.price));
            }
            ExecType::Cancelled
            | ExecType::Replaced
            | ExecType::Expired
            | ExecType::Status
            | ExecType::Rejected
            | ExecType::CancelRejected
            | ExecType::ReplaceRejected
            | ExecType::Hibernated
            | ExecType::Activated
            | ExecType::ReduceRejected
            | ExecType::HibernateRejected
            | ExecType::ActivateRejected
            | ExecType::MassCancelRejected
            | ExecType::Validated
            | ExecType::ValidateRejected
            | ExecType::StatusRejected => panic!("nothing else can happen: {report:?}"),
        }
    }
    for (sent, (order, _)) in &recovered.orders {
        if sent.0 == platform {
            assert_eq!(record.sent.get(sent), Some(order), "nothing appears that was not sent");
        }
    }
}

/// Lets two platforms trade with a served exchange, does something after so many acknowledgements,
/// and kills it.
pub(super) async fn trade_and_kill(
    dir: &Path,
    slots: &[SlotKey],
    acks: usize,
    meanwhile: impl FnOnce(),
) -> [Record; 2] {
    let mut serving = Running::start(["serve", "--data-dir", text(dir)]);
    let address = serving.says("listening on ");
    let acked = Arc::new(AtomicUsize::new(0));
    let (kill, killed) = watch::channel(false);
    let mut records = Vec::new();
    for platform in [1, 2] {
        let connector = connector(dir, &address, platform);
        let session = soon(TradingSession::open(&connector, 60_000)).await.unwrap();
        let (acked, killed) = (Arc::clone(&acked), killed.clone());
        let trading = trade_until_killed(session, platform, slots.to_vec(), acked, killed);
        records.push(tokio::spawn(trading));
    }
    tokio::task::block_in_place(|| {
        serving.until(|| acked.load(Ordering::Relaxed) >= acks);
        meanwhile();
        serving.kill();
    });
    // A killed process says nothing itself.
    kill.send_replace(true);
    let [first, second] = <[_; 2]>::try_from(records).unwrap();
    [first.await.unwrap(), second.await.unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_exchange_loses_no_acknowledged_order_and_repeats_none() {
    for acks in [1, 150, 600] {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("exchange");
        let slots = always_open(&dir);
        let records = trade_and_kill(&dir, &slots, acks, || ()).await;

        let serving = Running::start(["serve", "--data-dir", text(&dir)]);
        let address = serving.says("listening on ");
        let before = Recovered::read(&dir);
        for (platform, record) in [1, 2].into_iter().zip(&records) {
            check_record(platform, record, &before);
            let connector = connector(&dir, &address, platform);
            let mut again = Platform::connect(&connector, slots[0], slots[0].slot.start()).await;
            // Everything is sent again: what is known is only told again.
            for (sent, order) in &record.sent {
                let answer = report(&again.place(*order).await);
                match before.orders.get(sent) {
                    Some((_, accepted)) => {
                        let known = (ExecType::Status, accepted.order);
                        assert_eq!((answer.exec_type, answer.order), known);
                    }
                    None => assert_eq!(answer.exec_type, ExecType::New, "{sent:?}"),
                }
            }
        }
        serving.terminate();
        serving.says("stopped at sequence ");
        assert_eq!(serving.code(), Some(0));
        let after = Recovered::read(&dir);
        let sent: BTreeSet<_> = records.iter().flat_map(|record| record.sent.keys()).collect();
        assert_eq!(after.orders.keys().collect::<BTreeSet<_>>(), sent, "everything sent, once");
        assert_eq!(day::replay(&dir).trades, u64::try_from(after.trades.len()).unwrap());
        check_settlement(&dir, &after);
    }
}

/// The next message of a session that is about a contract.
async fn about_contracts(session: &mut TradingSession) -> Outbound {
    loop {
        let message = soon(session.receiver.next()).await.unwrap();
        if let Outbound::ContractReport(_) | Outbound::ContractInvitation(_) = message {
            return message;
        }
    }
}

/// Starts the exchange and a session of a platform that is told everything again.
async fn told_everything(dir: &Path, platform: u16) -> (Running, TradingSession) {
    let serving = Running::start(["serve", "--data-dir", text(dir)]);
    let connector = connector(dir, &serving.says("listening on "), platform);
    let resume = Some(ResumePoint { seq: Seq::ZERO, reports: 0 });
    let logon = Logon { resume, ..Logon::new(60_000, ShardId::FIRST) };
    (serving, soon(TradingSession::log_on(&connector, logon)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_exchange_keeps_an_offer_and_its_acceptance() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("exchange");
    let key = always_open(&dir)[0];
    let terms = ContractTerms {
        key,
        buyer: SECOND,
        seller: FIRST,
        price: price(100),
        quantity: Energy::from_wh(100),
        reference: 5,
        expires: Timestamp::from_ns(key.slot.start().ns()),
    };
    let (serving, mut first) = told_everything(&dir, 1).await;
    let offer = offer_contract(&cast::meter_key(FIRST), ClientOrderId::new(1), Side::Sell, terms);
    soon(first.sender.send(&[offer])).await.unwrap();
    let Outbound::ContractReport(open) = about_contracts(&mut first).await else { panic!() };
    assert_eq!(open.state, ContractState::Open);
    serving.kill();

    let (serving, mut second) = told_everything(&dir, 2).await;
    let Outbound::ContractInvitation(invited) = about_contracts(&mut second).await else {
        panic!()
    };
    assert_eq!((invited.offer, invited.terms), (open.offer, terms));
    let accept = accept_contract(&cast::meter_key(SECOND), ClientOrderId::new(1), &invited);
    soon(second.sender.send(&[accept])).await.unwrap();
    let Outbound::ContractReport(agreed) = about_contracts(&mut second).await else { panic!() };
    assert_eq!((agreed.state, agreed.trade.get()), (ContractState::Agreed, 1));
    serving.kill();

    let (mut serving, mut first) = told_everything(&dir, 1).await;
    for expected in
        [open, ContractReport { client_order: open.client_order, side: open.side, ..agreed }]
    {
        assert_eq!(about_contracts(&mut first).await, Outbound::ContractReport(expected));
    }
    serving.until(|| day::captured(&dir) >= agreed.seq);
    serving.terminate();
    assert_eq!(serving.code(), Some(0));
    assert_eq!(day::replay(&dir).trades, 1);
}
