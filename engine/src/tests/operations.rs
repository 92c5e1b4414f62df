//! What operators order: at once, or when a second one agrees.

use expect_test::expect;
use types::{
    Action, BustTrade, Command, KnownTrade, Lead, MarketId, NewMarket, Operated, Operation, Remark,
    Signature, SignedOperation, SlotAction, TradeId, TradingControl, TradingState,
};

use super::{
    amendments::check_desk,
    check_call, check_continuous, say,
    stage::Stage,
    words::{self, Words},
};

impl Stage {
    /// An operator's order, as a script says it.
    pub(super) fn operation(&mut self, words: &mut Words<'_>) -> Command {
        let signer = words.next().parse().unwrap();
        let operator = words.pair("agrees").map_or(signer, |(_, other)| other.parse().unwrap());
        let number = words.option("number").unwrap().parse().unwrap();
        let valid_until = self.valid_until(words);
        let trading = |words: &mut Words<'_>, state| {
            Action::SetTrading(TradingControl { scope: words.scope(), state })
        };
        let valid = |number: &str| -> usize { number.parse().unwrap() };
        let mut made = None;
        let action = match words.next() {
            "bust" => {
                let number = valid(words.next());
                let known = self.traded.get(number - 1).copied();
                let quantity = words.option("was").map(words::energy);
                made = known.map(|known| KnownTrade {
                    key: known.key,
                    buyer: known.buyer,
                    seller: known.seller,
                    price: known.price,
                    quantity: quantity.unwrap_or(known.quantity),
                });
                Action::Bust(TradeId::new(u64::try_from(number).unwrap()))
            }
            "define" => {
                let market = MarketId::new(words.next().parse().unwrap());
                let uncross_lead =
                    Lead::from_minutes(words.number("uncross").unwrap_or(300).into());
                let call_extension_minutes = words.number("extension").unwrap_or(5);
                Action::Define(NewMarket { market, uncross_lead, call_extension_minutes })
            }
            "call" => Action::Slot(SlotAction::Call, words.key()),
            "suspend" => trading(words, TradingState::Suspended),
            "kill" => trading(words, TradingState::Killed),
            "resume" => trading(words, TradingState::Active),
            "auction" => Action::Slot(SlotAction::RunAuction, words.key()),
            "extend" => Action::Slot(SlotAction::ExtendCall, words.key()),
            "call-off" => Action::Slot(SlotAction::CancelAuction, words.key()),
            "shut" => Action::Slot(SlotAction::Close, words.key()),
            other => panic!("`{other}` is not an action"),
        };
        let reason = Remark::new("as the script says").unwrap();
        let operation = Operation { operator, number, action, valid_until, reason };
        let signature = Signature::new([0; 64]);
        let signed = SignedOperation { operation, signer, signature };
        let bust = made.and_then(|made| BustTrade::new(&signed, &made));
        bust.map_or(Command::Operate(signed), Command::BustTrade)
    }
}

pub(super) fn operated(operated: &Operated) -> String {
    let Operated { signed: SignedOperation { operation, signer, .. }, took_effect } = operated;
    let name = operation.action.name();
    let what = match operation.action {
        Action::SetTrading(control) => say::trading(control),
        Action::Bust(trade) => format!("{name} {trade}"),
        Action::Slot(..) => name.to_owned(),
        Action::Define(new) => format!("{name} market {}", new.market),
    };
    let whose = format!("{}/{}", operation.operator, operation.number);
    let state = if *took_effect { "ordered" } else { "proposed" };
    format!("operator {signer} {state} {whose}: {what}")
}

#[test]
fn a_market_is_halted_and_goes_on() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         operator 1 number 1 suspend market 1
         sell S1 1kWh @ 4.00
         cancel #1
         operator 1 number 2 suspend market 1
         operator 1 number 3 resume market 1
         sell S1 1kWh @ 4.00
         operator 1 number 4 suspend market 9",
        &expect![[r#"
            accepted #1
            operator 1 ordered 1/1: market 1 suspended
            market 1 suspended
            rejected New trading_suspended
            cancelled #1 1kWh Requested 103
            operator 1 ordered 1/2: market 1 suspended
            market 1 suspended
            operator 1 ordered 1/3: market 1 active
            market 1 active
            accepted #2
            refused unknown_market
        "#]],
    );
}

#[test]
fn a_market_is_defined_by_an_operation_right_behind_its_definition() {
    check_continuous(
        "operator 1 number 1 define 7
         draft 7
         sell S1 1kWh @ 4.00
         operator 1 number 1 define 7
         draft 7
         operator 1 number 1 define 8
         draft 7 lot 0kWh
         operator 1 number 1 define 7
         draft 7
         operator 1 number 1 define 7 uncross 240
         draft 7
         operator 1 number 1 define 7 uncross 1440
         draft 7
         operator 1 number 1 define 7 extension 0
         draft 1
         operator 1 number 1 define 1
         draft 7
         operator 9 number 1 define 7
         draft 7
         operator 1 number 1 define 7
         operator 1 number 2 define 7
         draft 7
         operator 1 number 2 define 7
         draft 8
         operator 1 number 1 define 8
         draft 8
         operator 2 number 1 define 8
         operator 1 number 2 suspend market 7",
        &expect![[r#"
            refused invalid_market
            accepted #1
            refused invalid_market
            refused invalid_market
            refused invalid_market
            refused invalid_market
            refused invalid_market
            refused invalid_market
            refused already_registered
            refused unknown_party
            operator 1 ordered 1/1: define market 7
            market 7 defined
            refused invalid_market
            refused already_registered
            refused operation_outdated
            operator 2 ordered 2/1: define market 8
            market 8 defined
            operator 1 ordered 1/2: market 7 suspended
            market 7 suspended
        "#]],
    );
}

#[test]
fn t118_a_kill_needs_a_second_operator_and_its_exact_words() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         operator 1 number 1 kill market 1 until gate
         operator 1 agrees with 1 number 1 kill market 1 until gate
         operator 2 agrees with 1 number 1 kill everyone until gate
         operator 2 agrees with 1 number 2 kill market 1 until gate
         operator 3 agrees with 1 number 1 kill market 1 until gate
         operator 2 agrees with 1 number 1 kill market 1 until gate
         operator 2 agrees with 1 number 1 kill market 1 until gate
         sell S2 1kWh @ 4.00
         operator 2 number 1 resume market 1
         sell S2 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            operator 1 proposed 1/1: market 1 killed
            refused operation_outdated
            refused operation_unknown
            refused operation_unknown
            refused unknown_party
            operator 2 ordered 1/1: market 1 killed
            market 1 killed
            cancelled #1 1kWh Killed 101
            cancelled 1 of market 1 for the operator
            refused operation_unknown
            rejected New trading_suspended
            operator 2 ordered 2/1: market 1 active
            market 1 active
            accepted #2
        "#]],
    );
}

#[test]
fn t119_an_operation_takes_effect_once_in_time_and_by_who_is_registered() {
    check_continuous(
        "operator 1 number 5 suspend platform 1
         operator 1 number 5 resume platform 1
         operator 1 number 4 resume platform 1
         operator 9 number 1 resume platform 1
         operator 2 number 1 resume platform 1 until epoch
         operator 2 number 1 resume platform 1
         operator 2 agrees with 1 number 6 resume platform 1",
        &expect![[r#"
            operator 1 ordered 1/5: platform 1 suspended
            platform 1 suspended
            refused operation_outdated
            refused operation_outdated
            refused unknown_party
            refused signature_expired
            operator 2 ordered 2/1: platform 1 active
            platform 1 active
            refused operation_unknown
        "#]],
    );
}

#[test]
fn t120_an_operator_runs_an_auction_before_it_is_due() {
    check_call(
        "controls freeze 10 30
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         operator 1 number 1 auction
         operator 1 number 2 auction
         operator 1 number 3 auction slot 4",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            refused auction_not_due
            operator 1 ordered 1/1: run_auction
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            refused wrong_phase
            refused slot_not_open
        "#]],
    );
}

#[test]
fn t121_an_operator_lets_a_call_go_on() {
    check_call(
        "sell S1 1kWh @ 4.00
         operator 1 number 1 extend
         buy B1 1kWh @ 4.00
         controls freeze 10 30
         freeze
         operator 1 number 2 extend
         show phase",
        &expect![[r#"
            accepted #1
            operator 1 ordered 1/1: extend_call
            extended: 0.00 is too far from 0.00
            accepted #2
            controls set
            frozen
            due now+10s
            operator 1 ordered 1/2: extend_call
            extended: 4.00 is too far from 0.00
            call
            call
        "#]],
    );
}

#[test]
fn t122_an_auction_that_is_called_off_leaves_no_order() {
    check_call(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         hibernate #2
         operator 1 number 1 call-off
         show phase
         buy B1 1kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            hibernated #2 1kWh
            operator 1 ordered 1/1: cancel_auction
            cancelled #1 1kWh AuctionCancelled 101
            cancelled #2 1kWh AuctionCancelled 102
            continuous
            continuous
            accepted #3
            buy 1x1kWh @ 4.00 | sell
        "#]],
    );
}

#[test]
fn an_operator_shuts_a_gate() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         operator 1 number 1 shut
         operator 1 number 2 shut
         buy B1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            operator 1 ordered 1/1: close_slot
            cancelled #1 1kWh GateClosed 101
            closed
            refused wrong_phase
            rejected New gate_closed
        "#]],
    );
}

#[test]
fn t123_a_bust_takes_two_and_gives_back_what_both_meters_held() {
    check_desk(
        "sell S1 12kWh @ 5.00
         sell S1 4kWh @ 5.00
         sell S1 10Wh @ 5.00
         operator 1 number 1 bust 1 until gate
         sell S1 10Wh @ 5.00
         operator 2 agrees with 1 number 1 bust 1 until gate
         sell S1 4kWh @ 5.00
         sell S1 10Wh @ 5.00
         operator 1 number 2 bust 1
         change 1 S1 to 1kWh",
        &expect![[r#"
            accepted #3
            accepted #4
            rejected New capacity_exceeded
            operator 1 proposed 1/1: bust 1
            rejected New capacity_exceeded
            operator 2 ordered 1/1: bust 1
            busted 1 version 1: S1 to B1 4kWh @ 4.00 of 1 and 2
            accepted #5
            rejected New capacity_exceeded
            refused nothing_to_change
            rejected Offer nothing_to_change
        "#]],
    );
}

#[test]
fn a_bust_ends_an_offer_of_a_change_and_undoes_what_was_changed() {
    check_desk(
        "change 1 S1 to 3kWh as 7
         accept %1 as 9
         change 1 B1 to 2kWh ref 2
         operator 1 number 1 bust 1 until gate
         operator 2 agrees with 1 number 1 bust 1 until gate
         accept %2
         change 1 B1 to 2kWh ref 3 version 3
         sell S1 12kWh @ 5.00
         sell S1 8kWh @ 5.00",
        &expect![[r#"
            offered %1 S1 to B1 of 2: trade 1 4kWh to 3kWh
            amended %1 to version 2 (7 and 9): trade 1 4kWh to 3kWh
            offered %2 B1 to S1 of 1: trade 1 3kWh to 2kWh
            operator 1 proposed 1/1: bust 1
            operator 2 ordered 1/1: bust 1
            ended %2 killed 0
            busted 1 version 2: S1 to B1 3kWh @ 4.00 of 1 and 2
            rejected Accept unknown_offer
            rejected Offer nothing_to_change
            accepted #3
            accepted #4
        "#]],
    );
}

#[test]
fn t124_a_bust_is_of_a_trade_that_was_made_and_before_its_gate() {
    check_desk(
        "operator 1 number 1 bust 2
         operator 1 number 1 bust 1 was 5kWh
         operator 1 number 1 bust 1 until gate+60s
         at gate+1
         operator 2 agrees with 1 number 1 bust 1 until gate+60s
         operator 1 number 2 bust 1 until gate+60s",
        &expect![[r#"
            refused unknown_trade
            refused terms_differ
            operator 1 proposed 1/1: bust 1
            refused gate_closed
            refused gate_closed
        "#]],
    );
}

#[test]
fn what_was_paid_already_is_not_owed_after_a_bust() {
    check_desk(
        "credit limit 2 100.00
         show credit 2
         release credit 2 10.00
         operator 1 number 1 bust 1 until gate
         operator 2 agrees with 1 number 1 bust 1 until gate
         release credit 2 0.01
         show credit 2",
        &expect![[r#"
            platform 2 may owe 100.00
            100.00
            platform 2 owes 10.00 less
            operator 1 proposed 1/1: bust 1
            operator 2 ordered 1/1: bust 1
            busted 1 version 1: S1 to B1 4kWh @ 4.00 of 1 and 2
            refused invalid_credit
            100.00
        "#]],
    );
}

#[test]
fn an_operator_calls_a_slot_that_trades_continuously() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         operator 1 number 1 call
         buy B1 1kWh @ 4.00
         operator 1 number 2 call
         operator 1 number 2 auction
         open
         buy B1 1kWh @ 3.00
         open
         uncross",
        &expect![[r#"
            accepted #1
            operator 1 ordered 1/1: call_slot
            call
            accepted #2
            refused wrong_phase
            operator 1 ordered 1/2: run_auction
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            accepted #3
            refused already_registered
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
}
