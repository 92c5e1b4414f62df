//! Contracts that two meters agree on between themselves, over real sessions: offered, accepted, told
//! to both sides, settled, and proved away from the exchange.

use std::{fs, path::Path};

use gateway::client::{
    accept_contract, decline_contract, offer_contract, sign_delegation, withdraw_contract,
};
use serde_json::Value;
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD, WEAK},
    day::text,
    platform::{Platform, report, told},
    program::{Run, run},
    venue::{Venue, soon},
};
use types::{
    ContractTerms, Delegation, Energy, Event, MarketId, MeterId, OfferId, PlatformId, Price,
    PublicKey, Role, Seq, ShardId, Side, Sides, Timestamp,
};
use wire::{
    Inbound, Outbound,
    inbound::{Logon, ResumePoint},
    outbound::ContractInvitation,
};

/// An exchange with the slot at noon in its continuous phase, and both platforms.
async fn desk() -> (Venue, Platform, Platform) {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let first = Platform::log_on(&venue, 1).await;
    let second = Platform::log_on(&venue, 2).await;
    (venue, first, second)
}

/// The first meter gives the second one half a kWh at noon.
fn terms(venue: &Venue, reference: u64) -> ContractTerms {
    ContractTerms {
        key: venue.slot(0),
        buyer: SECOND,
        seller: FIRST,
        price: Price::from_micros(110_000),
        quantity: Energy::from_wh(500),
        reference,
        expires: venue.minutes_from_noon(0),
    }
}

async fn offer(platform: &mut Platform, side: Side, terms: ContractTerms) -> Outbound {
    let (key, number) = (cast::meter_key(terms.meter(side)), platform.next_id());
    platform.ask(offer_contract(&key, number, side, terms)).await
}

async fn invitation(platform: &mut Platform) -> ContractInvitation {
    let message = platform.next().await;
    let Outbound::ContractInvitation(invitation) = message else { panic!("{message:?}") };
    invitation
}

async fn accept(platform: &mut Platform, invitation: &ContractInvitation) -> String {
    let side = invitation.offered_by.opposite();
    let key = cast::meter_key(invitation.terms.meter(side));
    let message = accept_contract(&key, platform.next_id(), invitation);
    told(&platform.ask(message).await)
}

/// What a session is told that was away from the beginning.
async fn told_again(venue: &Venue, number: u16) -> Vec<String> {
    let resume = Some(ResumePoint { seq: Seq::ZERO, reports: 0 });
    let logon = Logon { resume, ..Logon::new(10_000, ShardId::FIRST) };
    let mut platform = Platform::log_on_with(venue, number, logon).await;
    let mut words = Vec::new();
    loop {
        let message = platform.next().await;
        if let Outbound::ResumeComplete(_) = message {
            return words;
        }
        words.push(told(&message));
    }
}

pub(super) fn beside(arguments: &[String]) -> Run {
    tokio::task::block_in_place(|| run(arguments))
}

/// A command line for this exchange as a party.
pub(super) fn line(venue: &Venue, party: &str, arguments: &[&str]) -> Vec<String> {
    let (server, keys) = (venue.node.address.to_string(), venue.layout.keys());
    let ends = ["--server", &server, "--keys", text(&keys), "--as", party, "--output", "ndjson"];
    arguments.iter().chain(&ends).map(|&word| word.to_owned()).collect()
}

pub(super) fn rows(run: &Run) -> Vec<Value> {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn key_file(dir: &Path, meter: MeterId) -> String {
    let path = dir.join(format!("meter-{meter}.key"));
    let pem = gateway::identity::signing_key_pem(&cast::meter_key(meter)).unwrap();
    gateway::identity::write_key_file(&path, &pem).unwrap();
    text(&path).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_is_accepted_is_told_to_both_sides_and_settled() {
    let (venue, mut first, mut second) = desk().await;
    let terms = terms(&venue, 7);
    assert_eq!(told(&offer(&mut first, Side::Sell, terms).await), "Open 1");
    let invited = invitation(&mut second).await;
    assert_eq!((invited.terms, invited.offered_by), (terms, Side::Sell));
    // Who is invited can check who offers, before it signs.
    let mut signed = Vec::new();
    wire::signing::contract(&terms, &mut signed);
    let signature = ed25519_dalek::Signature::from_bytes(invited.signature.as_bytes());
    cast::meter_key(FIRST).verifying_key().verify_strict(&signed, &signature).unwrap();

    assert_eq!(accept(&mut second, &invited).await, "Agreed 1 as trade 1");
    assert_eq!(told(&first.next().await), "Agreed 1 as trade 1");
    // Again, by either side: the same answer, and no second trade.
    assert_eq!(accept(&mut second, &invited).await, "Agreed 1 as trade 1");
    assert_eq!(told(&offer(&mut first, Side::Sell, terms).await), "Agreed 1 as trade 1");
    assert_eq!((first.unread().await, second.unread().await), (Vec::new(), Vec::new()));

    let feed = venue.feed(Seq::ZERO, venue.durable()).await;
    let trades: Vec<_> = feed
        .iter()
        .filter_map(|item| if let Event::Trade(trade) = item.event { Some(trade) } else { None })
        .collect();
    let [trade] = trades[..] else { panic!("{trades:?}") };
    assert!(trade.is_negotiated());
    assert_eq!((trade.buy.meter, trade.sell.meter, trade.price), (SECOND, FIRST, terms.price));

    // Retailers and utilities of both sides are told.
    venue.settled().await;
    for (role, number) in [(Role::Retailer, 1), (Role::Retailer, 2), (Role::Utility, 2)] {
        drop(venue.connector(cast::party(role, number)));
        let party = format!("{}/{number}", role.name());
        let (address, keys) = (venue.node.address.to_string(), venue.layout.keys());
        let words = ["grid", "notices", "--server", &address, "--keys", text(&keys)];
        let ends = ["--as", &party, "--output", "ndjson"];
        let words: Vec<_> = words.iter().chain(&ends).map(|&word| word.to_owned()).collect();
        let notices = rows(&beside(&words));
        assert_eq!((notices.len(), &notices[0]["what"]), (1, &"negotiated".into()), "{notices:?}");
        assert_eq!(
            (&notices[0]["contract"], &notices[0]["contracted_wh"]),
            (&1.into(), &500.into())
        );
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_by_both_meters_is_no_contract() {
    let (venue, mut first, mut second) = desk().await;
    let good = terms(&venue, 7);
    let signed = |platform: &mut Platform, meter, side, terms| {
        offer_contract(&cast::meter_key(meter), platform.next_id(), side, terms)
    };
    // Another meter's key.
    let forged = signed(&mut first, THIRD, Side::Sell, good);
    assert_eq!(told(&first.ask(forged).await), "turned away signature_invalid");
    // Changed after it was signed.
    let Inbound::OfferContract(mut changed) = signed(&mut first, FIRST, Side::Sell, good) else {
        panic!()
    };
    changed.terms.price = Price::from_micros(120_000);
    let changed = Inbound::OfferContract(changed);
    assert_eq!(told(&first.ask(changed).await), "turned away signature_invalid");
    // By the platform of the other side, for a meter that nobody knows, and by a key that vouches for
    // nothing.
    let others = signed(&mut second, FIRST, Side::Sell, good);
    assert_eq!(told(&second.ask(others).await), "turned away not_authorised");
    let strange = ContractTerms { buyer: MeterId::new(99), ..good };
    assert_eq!(told(&offer(&mut first, Side::Sell, strange).await), "turned away unknown_meter");
    let weak = ContractTerms { seller: WEAK, ..good };
    assert_eq!(told(&offer(&mut first, Side::Sell, weak).await), "turned away signature_invalid");
    assert_eq!(second.unread().await, [], "nobody is invited");

    assert_eq!(told(&offer(&mut first, Side::Sell, good).await), "Open 1");
    let invited = invitation(&mut second).await;
    // The invited meter's platform, but another key; then other terms; then not the side that is
    // invited.
    let number = second.next_id();
    let forged = accept_contract(&cast::meter_key(FOURTH), number, &invited);
    assert_eq!(told(&second.ask(forged).await), "turned away signature_invalid");
    let other = ContractTerms { quantity: Energy::from_wh(400), ..good };
    let other = ContractInvitation { terms: other, ..invited };
    assert_eq!(accept(&mut second, &other).await, "AcceptRefused terms_differ");
    let reversed = ContractInvitation { offered_by: Side::Buy, ..invited };
    assert_eq!(accept(&mut first, &reversed).await, "AcceptRefused not_authorised");
    let nothing = ContractInvitation { offer: OfferId::new(9), ..invited };
    assert_eq!(accept(&mut second, &nothing).await, "AcceptRefused unknown_offer");
    assert_eq!(first.unread().await, []);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_end_in_every_way_and_both_sides_are_told() {
    let (venue, mut first, mut second) = desk().await;
    let mut offered = Vec::new();
    for reference in 1..=4 {
        let expires = if reference == 3 {
            venue.minutes_from_noon(-20)
        } else {
            Timestamp::from_ns(i64::MAX)
        };
        let terms = ContractTerms { expires, ..terms(&venue, reference) };
        assert_eq!(told(&offer(&mut first, Side::Sell, terms).await), format!("Open {reference}"));
        offered.push(invitation(&mut second).await);
    }
    let number = second.next_id();
    let declined = second.ask(decline_contract(number, OfferId::new(1))).await;
    assert_eq!(told(&declined), "Declined 1");
    assert_eq!(told(&first.next().await), "Declined 1");
    let number = first.next_id();
    let withdrawn = first.ask(withdraw_contract(number, OfferId::new(2))).await;
    assert_eq!(told(&withdrawn), "Withdrawn 2");
    assert_eq!(told(&second.next().await), "Withdrawn 2");
    assert_eq!(accept(&mut second, &offered[1]).await, "AcceptRefused unknown_offer");

    venue.clock_to(-19).await;
    assert_eq!(accept(&mut second, &offered[2]).await, "AcceptRefused unknown_offer");
    assert_eq!(told(&first.next().await), "Expired 3");
    venue.clock_to(-14).await;
    assert_eq!(told(&first.next().await), "GateClosed 4");
    assert_eq!(accept(&mut second, &offered[3]).await, "AcceptRefused unknown_offer");
    let late = offer(&mut first, Side::Sell, terms(&venue, 5)).await;
    assert_eq!(told(&late), "OfferRefused gate_closed");
    assert_eq!(second.unread_words().await, ["Expired 3", "GateClosed 4"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_outlives_the_exchange_and_is_told_again() {
    let (venue, mut first, second) = desk().await;
    let terms = terms(&venue, 7);
    assert_eq!(told(&offer(&mut first, Side::Sell, terms).await), "Open 1");
    drop((first, second));
    let (venue, _) = venue.restart().await;
    assert_eq!(told_again(&venue, 1).await, ["Open 1"]);
    let resume = Some(ResumePoint { seq: Seq::ZERO, reports: 0 });
    let logon = Logon { resume, ..Logon::new(10_000, ShardId::FIRST) };
    let mut second = Platform::log_on_with(&venue, 2, logon).await;
    let invited = invitation(&mut second).await;
    assert!(matches!(second.next().await, Outbound::ResumeComplete(_)));
    assert_eq!(accept(&mut second, &invited).await, "Agreed 1 as trade 1");
    drop(second);
    let (venue, _) = venue.restart().await;
    assert_eq!(told_again(&venue, 1).await, ["Open 1", "Agreed 1 as trade 1"]);
    assert_eq!(told_again(&venue, 2).await, ["invited to 1 of 500", "Agreed 1 as trade 1"]);
    venue.close().await;
}

/// `contract verify` of a file.
fn verify(file: &Path, key: &str) -> Run {
    let words = ["contract", "verify", text(file), "--key", key, "--output", "ndjson"];
    beside(&words.map(str::to_owned))
}

/// Shows a contract, writes its evidence, and checks that away from the exchange; then that a changed
/// bit anywhere is found.
pub(super) fn prove(venue: &Venue, contract: u64, origin: &str, signatures: u64) -> Value {
    let (number, root) = (contract.to_string(), venue.layout.root());
    let file = root.join(format!("contract-{number}.json"));
    let words = ["contract", "show", &number, "--data-dir", text(root), "--file", text(&file)];
    let words = words.iter().copied().chain(["--output", "ndjson"]).map(str::to_owned);
    let shown = rows(&beside(&words.collect::<Vec<_>>()));
    assert_eq!(shown[0]["origin"], origin, "{shown:?}");
    assert_eq!(shown[0]["signatures"], signatures);
    let key = shown[0]["exchange_key"].as_str().unwrap();
    assert_eq!(rows(&verify(&file, key)), shown);

    let strange = verify(&file, &"01".repeat(32));
    assert_eq!(strange.code, Some(4), "{strange:?}");
    let good = fs::read(&file).unwrap();
    let changed_file = root.join("changed.json");
    for part in 0..16 {
        let mut changed = good.clone();
        let at = (good.len() - 1) * part / 15;
        changed[at] ^= 1 << (part % 7);
        fs::write(&changed_file, &changed).unwrap();
        let found = verify(&changed_file, key);
        assert_eq!(found.code, Some(4), "byte {at}: {found:?}");
        assert!(found.stderr.starts_with("error: "), "{}", found.stderr);
    }
    shown[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_agree_on_contracts_and_prove_them_anywhere() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    drop(venue.connector(cast::party(Role::Platform, 1)));
    drop(venue.connector(cast::party(Role::Platform, 2)));
    let keys = tempfile::tempdir().unwrap();
    let (first, second) = (key_file(keys.path(), FIRST), key_file(keys.path(), SECOND));
    let words = [
        "contract",
        "offer",
        "--meter",
        "1",
        "--meter-key",
        &first,
        "--with",
        "2",
        "--market",
        "1",
        "--slot",
        "2026-06-24T12:00+02:00",
        "--side",
        "sell",
        "--price",
        "0.11",
        "--quantity",
        "500Wh",
        "--reference",
        "77",
        "--expires",
        "2026-06-24T12:00+02:00",
    ];
    let offered = rows(&beside(&line(&venue, "platform-1", &words)));
    assert_eq!((&offered[0]["offer"], &offered[0]["state"]), (&1.into(), &"open".into()));
    let listed = rows(&beside(&line(&venue, "platform-2", &["contract", "list"])));
    assert_eq!((listed.len(), &listed[0]["role"]), (1, &"invited".into()), "{listed:?}");
    assert_eq!((&listed[0]["price"], &listed[0]["quantity_wh"]), (&"0.11".into(), &500.into()));

    let words = ["contract", "accept", "1", "--meter", "2", "--meter-key", &second];
    let agreed = rows(&beside(&line(&venue, "platform-2", &words)));
    assert_eq!((&agreed[0]["state"], &agreed[0]["contract"]), (&"agreed".into(), &1.into()));
    let listed = rows(&beside(&line(&venue, "platform-1", &["contract", "list", "--all"])));
    assert_eq!((&listed[0]["role"], &listed[0]["state"]), (&"offered".into(), &"agreed".into()));
    assert_eq!(rows(&beside(&line(&venue, "platform-1", &["contract", "list"]))).len(), 0);
    let late = beside(&line(&venue, "platform-1", &["contract", "withdraw", "1"]));
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("unknown_offer (29)"), "{}", late.stderr);

    let row = prove(&venue, 1, "negotiated", 2);
    assert_eq!(
        (&row["buyer"], &row["seller"], &row["quantity_wh"]),
        (&2.into(), &1.into(), &500.into())
    );
    change_by_hand(&venue, &first, &second).await;
    let missing = ["contract", "show", "9", "--data-dir", text(venue.layout.root())];
    let missing = beside(&missing.map(str::to_owned));
    assert_eq!(missing.code, Some(1), "{missing:?}");
    venue.close().await;
}

/// The first contract becomes smaller, and both versions are proved.
async fn change_by_hand(venue: &Venue, first: &str, second: &str) {
    venue.settled().await;
    let noon = "2026-06-24T12:00+02:00";
    let words = ["contract", "modify", "1", "--meter", "1", "--meter-key", first, "--with", "2"];
    let now = ["--market", "1", "--at", noon, "--side", "sell", "--price", "0.11", "--of", "500Wh"];
    let change = ["--quantity", "300Wh", "--reference", "1", "--expires", noon];
    let words: Vec<_> = words.into_iter().chain(now).chain(change).collect();
    let offered = rows(&beside(&line(venue, "platform-1", &words)));
    assert_eq!((&offered[0]["offer"], &offered[0]["state"]), (&2.into(), &"open".into()));
    let listed = rows(&beside(&line(venue, "platform-2", &["contract", "list"])));
    assert_eq!((&listed[0]["what"], &listed[0]["changes"]), (&"change".into(), &1.into()));
    assert_eq!(
        (&listed[0]["quantity_wh"], &listed[0]["new_quantity_wh"]),
        (&500.into(), &300.into())
    );
    let words = ["contract", "accept", "2", "--meter", "2", "--meter-key", second];
    let agreed = rows(&beside(&line(venue, "platform-2", &words)));
    assert_eq!((&agreed[0]["state"], &agreed[0]["contract"]), (&"agreed".into(), &1.into()));

    let made = prove(venue, 1, "negotiated", 4);
    assert_eq!((&made["version"], &made["quantity_wh"]), (&1.into(), &500.into()));
    let key = made["exchange_key"].as_str().unwrap();
    let versions = rows(&verify(&venue.layout.root().join("contract-1.json"), key));
    let [made, changed] = &versions[..] else { panic!("{versions:?}") };
    assert_eq!((&changed["version"], &changed["quantity_wh"]), (&2.into(), &300.into()));
    assert_eq!((&made["asked_by"], &changed["asked_by"]), (&Value::Null, &"sell".into()));
    assert_ne!(made["hash"], changed["hash"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_of_the_book_is_proved_by_orders_and_by_signed_frames() {
    let (venue, mut first, mut second) = desk().await;
    let sell = first.order(FIRST, Side::Sell, 90, 500);
    let sell = report(&first.place(sell).await).order;
    let mut replace = first.order(FIRST, Side::Sell, 100, 400);
    replace.client_order = first.next_id();
    let replace = types::ReplaceOrder {
        client_order: replace.client_order,
        order: sell,
        meter: FIRST,
        limit: replace.limit,
        quantity: replace.quantity,
        valid_until: replace.valid_until,
    };
    assert_eq!(told(&first.replace(replace).await), "replaced leaves 400");
    let buy = second.order(SECOND, Side::Buy, 110, 300);
    second.accepted(buy).await;
    prove(&venue, 1, "book", 3);
    assert_eq!(second.unread_words().await, ["trade 300 leaves 0"]);

    // The buyer's platform signs a frame under a delegation.
    let key = cast::meter_key(SECOND);
    let delegation = Delegation {
        number: 1,
        meter: SECOND,
        platform: PlatformId::new(2),
        market: MarketId::new(0),
        sides: Sides::Both,
        quantity_max: Energy::ZERO,
        buy_limit: Delegation::ANY_BUY,
        sell_limit: Delegation::ANY_SELL,
        valid_from: Timestamp::from_ns(0),
        valid_until: venue.now().plus_ns(3_600_000_000_000),
        key: PublicKey::new(key.verifying_key().to_bytes()).id(),
    };
    let number = second.next_id();
    second.ask(sign_delegation(&key, number, delegation)).await;
    let mut frame = gateway::client::FrameToSign::default();
    let orders =
        [(10, 20), (110, 60)].map(|(limit, wh)| second.order(SECOND, Side::Buy, limit, wh));
    orders.iter().for_each(|&order| frame.push(order));
    let signing = cast::party_key(cast::party(Role::Platform, 2));
    second.send(&frame.sign(&signing, PlatformId::new(2))).await;
    let fill = second.report_of(wire::outbound::ExecType::Trade).await;
    assert_eq!(fill.trade.get(), 2, "{fill:?}");
    soon(venue.settled()).await;
    prove(&venue, 2, "book", 4);
    venue.close().await;
}
