//! Orders of operators over real connections: taken once, the gravest by two, on the feed and in the ledger.

use std::fs;

use gateway::client::{ClientError, sign_operation};
use settlement::{
    State,
    tlog::{facts::Leaf, tiles::TileDirectory},
};
use tests::{
    cast::{self, FIRST, SECOND},
    day::text,
    platform::{Platform, told},
    venue::{Venue, soon},
};
use types::{
    Action, Event, MarketId, Operation, PlatformId, RejectReason, Remark, Role, Scope, Seq, Side,
    SignedOperation, TradeId, TradingControl, TradingState,
};
use wire::{
    data::{RequestKind, SinceQuery},
    outbound::ExecType,
};

use crate::{
    amendments,
    contracts::{beside, line, rows},
};

/// An order of an operator, signed by another or the same.
pub(crate) fn signed(
    venue: &Venue,
    (signer, operator): (u16, u16),
    number: u64,
    action: Action,
) -> SignedOperation {
    let operation = Operation {
        operator,
        number,
        action,
        valid_until: venue.now().plus_ns(60_000_000_000),
        reason: Remark::new("a test of ours").unwrap(),
    };
    sign_operation(&cast::party_key(cast::party(Role::Operator, signer)), operation, signer)
}

pub(crate) fn refusal(result: Result<(), ClientError>) -> RejectReason {
    match result {
        Err(ClientError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

const fn trading(scope: Scope, state: TradingState) -> Action {
    Action::SetTrading(TradingControl { scope, state })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_is_halted_and_a_platform_killed_by_two() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let first = venue.desk(cast::party(Role::Operator, 1)).await;
    let second = venue.desk(cast::party(Role::Operator, 2)).await;
    let market = Scope::Market(MarketId::new(1));
    let of = |signer, number, action| signed(&venue, signer, number, action);

    let halt = of((1, 1), 1, trading(market, TradingState::Suspended));
    soon(first.operate(&halt)).await.unwrap();
    let sell = platform.order(FIRST, Side::Sell, 100, 500);
    assert_eq!(told(&platform.place(sell).await), "rejected trading_suspended");
    let again = refusal(soon(first.operate(&halt)).await);
    assert_eq!(again, RejectReason::OperationOutdated);
    let resume = of((1, 1), 2, trading(market, TradingState::Active));
    soon(first.operate(&resume)).await.unwrap();
    let sell = platform.order(FIRST, Side::Sell, 100, 500);
    platform.accepted(sell).await;

    let killed = trading(Scope::Platform(PlatformId::new(1)), TradingState::Killed);
    let kill = of((1, 1), 3, killed);
    soon(first.operate(&kill)).await.unwrap();
    let sell = platform.order(FIRST, Side::Sell, 110, 500);
    platform.accepted(sell).await;
    // Not by the same operator, not with other words, not by who did not sign.
    assert_eq!(refusal(soon(first.operate(&kill)).await), RejectReason::OperationOutdated);
    let other = of((2, 1), 3, trading(Scope::All, TradingState::Killed));
    assert_eq!(refusal(soon(second.operate(&other)).await), RejectReason::OperationUnknown);
    let forged = SignedOperation { signer: 2, ..kill };
    assert_eq!(refusal(soon(second.operate(&forged)).await), RejectReason::SignatureInvalid);
    assert_eq!(refusal(soon(second.operate(&kill)).await), RejectReason::NotAuthorised);
    let agreed =
        sign_operation(&cast::party_key(cast::party(Role::Operator, 2)), kill.operation, 2);
    soon(second.operate(&agreed)).await.unwrap();
    for _ in 0..2 {
        platform.report_of(ExecType::Cancelled).await;
    }

    soon(venue.settled()).await;
    let feed = venue.feed(Seq::ZERO, venue.durable()).await;
    let told: Vec<_> = feed
        .iter()
        .filter_map(
            |item| if let Event::Operated(operated) = item.event { Some(operated) } else { None },
        )
        .collect();
    let effects: Vec<_> = told.iter().map(|one| (one.signed.signer, one.took_effect)).collect();
    assert_eq!(effects, [(1, true), (1, true), (1, false), (2, true)]);

    let layout = venue.layout.clone();
    let stopped = venue.closed_for_repair().await;
    let evidence = replay::verify_signatures(&layout.journal()).unwrap();
    assert_eq!(evidence.operations, 7, "those that the engine refused too");
    let mut pipeline = stopped.pipeline();
    pipeline.checkpoint().unwrap();
    let (size, _) = pipeline.ledger_head();
    let mut tiles = TileDirectory::new(&layout.ledger(), size);
    let leaves = (0..size).filter_map(|index| match Leaf::decode(&tiles.leaf(index).unwrap()) {
        Some(Leaf::Operation(operated)) => Some(*operated),
        _ => None,
    });
    assert_eq!(leaves.collect::<Vec<_>>(), told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_run_a_market_with_the_program() {
    let venue = Venue::open().await;
    venue.clock_to(-35).await;
    let dir = tempfile::tempdir().unwrap();
    for number in [1, 2] {
        let party = cast::party(Role::Operator, number);
        let pem = gateway::identity::signing_key_pem(&cast::party_key(party)).unwrap();
        let key = venue.layout.keys().join(format!("operator-{number}.signing.key"));
        gateway::identity::write_key_file(&key, &pem).unwrap();
    }
    let file = dir.path().join("kill.txt");
    let until = ["--valid-until", "2026-06-24T12:00+02:00"];
    let slot = ["--market", "1", "--slot", "2026-06-24T12:00+02:00"];
    let run = |party: &str, words: &[&str]| beside(&line(&venue, party, words));

    let preview = rows(&run("operator-1", &[&["auction", "preview"][..], &slot].concat()));
    assert_eq!((&preview[0]["phase"], &preview[0]["volume_wh"]), (&"call".into(), &0.into()));
    let why = ["--reason", "late start"];
    let words = [&["auction", "run"][..], &slot, &why, &until].concat();
    let done = rows(&run("operator-1", &words));
    assert_eq!(
        (&done[0]["action"], &done[0]["state"]),
        (&"run_auction".into(), &"in force".into())
    );
    let refused = run("operator-1", &words);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("wrong_phase"), "{}", refused.stderr);

    let kill = ["market", "kill", "--scope", "platform/2", "--reason", "its key has leaked"];
    let proposed =
        rows(&run("operator-1", &[&kill[..], &until, &["--file", text(&file)]].concat()));
    assert_eq!(proposed[0]["state"], "waits for a second operator");
    let said = fs::read_to_string(&file).unwrap();
    assert!(said.starts_with("# kill platform/2: its key has leaked\n"), "{said}");
    let own = run("operator-1", &["market", "second", text(&file)]);
    assert_eq!((own.code, own.stderr.contains("another one has to")), (Some(2), true));
    let agreed = rows(&run("operator-2", &["market", "second", text(&file)]));
    assert_eq!((&agreed[0]["signer"], &agreed[0]["state"]), (&2.into(), &"in force".into()));
    let mut platform = Platform::log_on(&venue, 2).await;
    let buy = platform.order(SECOND, Side::Buy, 100, 500);
    assert_eq!(told(&platform.place(buy).await), "rejected trading_suspended");
    let called = [&["auction", "call"][..], &slot, &why, &until].concat();
    assert_eq!(rows(&run("operator-1", &called))[0]["action"], "call_slot");
    let unmade = ["market", "bust", "7", "--reason", "its price is of the wrong unit"];
    let refused = run("operator-1", &unmade);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("unknown_trade"), "{}", refused.stderr);
    let closed =
        [&["market", "phase", "--to", "closed", "--reason", "grid fault"][..], &slot, &until];
    assert_eq!(rows(&run("operator-2", &closed.concat()))[0]["action"], "close_slot");
    drop(platform);
    venue.close().await;
}

/// The bust of a trade under a number of the first operator, which an operator signs.
fn bust(venue: &Venue, signer: u16, number: u64, trade: u64) -> SignedOperation {
    signed(venue, (signer, 1), number, Action::Bust(TradeId::new(trade)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_is_busted_by_two_operators_and_nothing_of_it_stays() {
    let (venue, mut first, mut second) = amendments::desk().await;
    let smaller = amendments::terms(&venue, 300, 1);
    amendments::agree(&mut first, &mut second, smaller).await;
    let operator = venue.desk(cast::party(Role::Operator, 1)).await;
    for unknown in [2, 1 + (1 << 48), u64::MAX] {
        let refused = refusal(soon(operator.operate(&bust(&venue, 1, 1, unknown))).await);
        assert_eq!(refused, RejectReason::UnknownTrade);
    }
    let proposed = bust(&venue, 1, 1, 1);
    soon(operator.operate(&proposed)).await.unwrap();
    assert_eq!(first.unread().await, [], "one operator is not enough");
    drop((first, second, operator));

    // What was proposed waits over a restart.
    let (venue, _) = venue.restart().await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let other = venue.desk(cast::party(Role::Operator, 2)).await;
    let key = cast::party_key(cast::party(Role::Operator, 2));
    let agreed = sign_operation(&key, proposed.operation, 2);
    soon(other.operate(&agreed)).await.unwrap();
    for platform in [&mut first, &mut second] {
        assert_eq!(told(&platform.next().await), "Busted 0 as trade 1");
    }
    let own = venue.desk(cast::party(Role::Operator, 1)).await;
    let again = refusal(soon(own.operate(&bust(&venue, 1, 2, 1))).await);
    assert_eq!(again, RejectReason::NothingToChange);

    soon(venue.settled()).await;
    let retailer = venue.desk(cast::party(Role::Retailer, 1)).await;
    let query = SinceQuery { after: 0, market: MarketId::new(0), wait_seconds: 0 };
    let text = retailer.since(RequestKind::Notices, query).await.unwrap();
    assert_eq!(text.matches("\"what\":\"busted\"").count(), 1, "{text}");
    let feed = venue.feed(Seq::ZERO, venue.durable()).await;
    let busted: Vec<_> =
        feed.iter()
            .filter_map(|item| {
                if let Event::TradeBusted(busted) = item.event { Some(busted) } else { None }
            })
            .map(|busted| (busted.trade.get(), busted.version, busted.quantity.wh()))
            .collect();
    assert_eq!(busted, [(1, 2, 300)]);

    let layout = venue.layout.clone();
    drop((first, second, other, own, retailer));
    let stopped = venue.closed_for_repair().await;
    let evidence = replay::verify_signatures(&layout.journal()).unwrap();
    assert_eq!(evidence.operations, 3, "that of a trade busted before too");
    let mut pipeline = stopped.pipeline();
    pipeline.checkpoint().unwrap();
    let audit = pipeline.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    let (size, _) = pipeline.ledger_head();
    let mut tiles = TileDirectory::new(&layout.ledger(), size);
    let leaves: Vec<_> =
        (0..size).filter_map(|index| Leaf::decode(&tiles.leaf(index).unwrap())).collect();
    let states: Vec<_> = leaves
        .iter()
        .filter_map(|leaf| if let Leaf::Amendment(one) = leaf { Some(one.state) } else { None })
        .collect();
    assert_eq!(states, [State::AwaitingMeterData, State::CancelledBusted]);
    let actions: Vec<_> = leaves
        .iter()
        .filter_map(|leaf| if let Leaf::Operation(one) = leaf { Some(one) } else { None })
        .map(|one| (one.signed.operation.action, one.signed.signer, one.took_effect))
        .collect();
    let action = Action::Bust(TradeId::new(1));
    assert_eq!(actions, [(action, 1, false), (action, 2, true)]);
}
