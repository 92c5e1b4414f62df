//! The order of the checks: each request here breaks one rule and some of those that come later,
//! and is answered with the code of the first. And that there is a way to each code.

use std::collections::BTreeSet;

use expect_test::expect;
use types::RejectReason;

use super::{check_call, check_continuous, script, stage::Stage};

#[test]
fn t01_the_first_rule_that_a_new_order_breaks_is_its_answer() {
    let room = "sell S8 0.01kWh @ 4.00\n".repeat(11);
    check_call(
        &format!(
            "sell S1 1kWh @ 4.00 as 1
             suspend meter S2
             sell S99 0kWh @ 99.00 by 7 until opening of 9
             sell S2 0kWh @ 99.00 by 2 until opening of 9
             sell S2 0kWh @ 99.00 until opening of 9
             sell S2 0kWh @ 99.00 of 9
             sell S1 0kWh @ 99.00 misaligned of 9
             sell S1 0kWh @ 99.00 misaligned
             sell S1 0kWh @ 99.00 slot 5 ioc
             sell S1 0kWh @ 99.00 ioc
             sell S1 12011Wh @ 99.001 as 1
             sell S1 12010Wh @ 99.001 as 1
             sell S1 12kWh @ 99.001 as 1
             sell S1 12kWh @ 4.001 as 1
             buy S1 12kWh @ 4.00 as 1
             buy S1 12kWh @ 4.00
             {room}
             controls smallest 5kWh value 1.00
             buy S1 1kWh @ 4.00 showing 2kWh
             sell S1 1kWh @ 4.00 showing 2kWh
             cancel #2
             sell S1 1kWh @ 4.00 showing 2kWh
             sell S1 5kWh @ 4.00 showing 6kWh
             controls
             sell S1 5kWh @ 4.00 showing 6kWh in block 1 of 0"
        ),
        &expect![[r#"
            accepted #1
            meter S2 suspended
            rejected New unknown_meter
            rejected New not_authorised
            rejected New signature_expired
            rejected New trading_suspended
            rejected New unknown_market
            rejected New slot_misaligned
            rejected New slot_not_open
            rejected New wrong_phase
            rejected New quantity_not_on_lot
            rejected New quantity_above_maximum
            rejected New price_outside_band
            rejected New price_not_on_tick
            rejected New duplicate_client_order
            rejected New capacity_exceeded
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            accepted #7
            accepted #8
            accepted #9
            accepted #10
            accepted #11
            accepted #12
            controls set
            rejected New self_trade
            rejected New order_limit_reached
            cancelled #2 0.01kWh Requested 129
            rejected New quantity_below_minimum
            rejected New value_above_maximum
            controls set
            rejected New invalid_conditions
        "#]],
    );
}

#[test]
fn of_a_new_order_from_its_conditions_on() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         controls executions 1
         sell S2 1kWh @ 4.00
         buy B1 1kWh @ 5.00
         credit limit 2 0.00
         buy B1 1kWh @ 4.00 post-only ioc in block 1 of 0
         buy B1 1kWh @ 4.00 post-only in block 1 of 0
         buy B1 1kWh @ 3.00 post-only in block 1 of 0
         credit limit 2 100.00
         buy B1 1kWh @ 3.00 post-only in block 1 of 0
         controls
         buy B1 1kWh @ 3.00 post-only in block 1 of 0",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            controls set
            accepted #3
            accepted #4
            trade S1#1 B1#4 1kWh @ 4.00 maker sell
            platform 2 may owe 0.00
            rejected New invalid_conditions
            rejected New post_only_would_trade
            rejected New credit_exceeded
            platform 2 may owe 100.00
            rejected New execution_limit_reached
            controls set
            rejected New invalid_list
        "#]],
    );
}

#[test]
fn a_repeat_is_answered_before_anything_that_may_have_changed() {
    check_continuous(
        "sell S1 1kWh @ 4.00 as 1 until gate
         suspend meter S1
         controls smallest 9kWh value 0.01 executions 1
         credit limit 1 0.00
         at gate+1
         sell S1 1kWh @ 4.00 as 1 until gate
         close
         sell S1 1kWh @ 4.00 as 1 until gate
         sell S1 1kWh @ 4.00 as 1 until gate by 2",
        &expect![[r#"
            accepted #1
            meter S1 suspended
            controls set
            platform 1 may owe 0.00
            restated #1 filled 0kWh leaves 1kWh
            cancelled #1 1kWh GateClosed 1
            closed
            restated #1 filled 0kWh leaves 0kWh
            rejected New not_authorised
        "#]],
    );
}

#[test]
fn of_a_replacement_up_to_its_capacity() {
    check_call(
        "sell S1 2kWh @ 4.00
         replace #1 S1 2kWh @ 4.00 as 200
         sell S2 2kWh at market
         sell S1 10kWh @ 4.00
         sell S4 1kWh @ 4.00
         hibernate #4
         sell S5 1kWh @ 4.00 in block 1 of 2
         suspend meter S3
         replace #9 S99 0kWh @ 99.001 as 1 until opening
         replace #1 S3 0kWh @ 99.001 as 1 until opening
         replace #9 S3 0kWh @ 99.001 as 1 until opening by 2
         replace #9 S3 0kWh @ 99.001 as 1 until opening
         replace #9 S3 0kWh @ 99.001 as 1
         replace #9 S1 0kWh @ 99.001 as 1
         replace #5 S5 0kWh @ 99.001 as 0
         replace #4 S4 0kWh @ 99.001 as 0
         replace #2 S2 0kWh @ 99.001 as 0
         replace #1 S1 12011Wh @ 99.001 as 1
         replace #1 S1 12010Wh @ 99.001 as 1
         replace #1 S1 12kWh @ 99.001 as 1
         replace #1 S1 12kWh @ 4.001 as 1
         replace #1 S1 12kWh @ 4.00 as 1
         controls value 0.01
         replace #1 S1 12kWh @ 4.00 as 201",
        &expect![[r#"
            accepted #1
            replaced #1 2kWh @ 4.00 in place
            accepted #2
            accepted #3
            accepted #4
            hibernated #4 1kWh
            accepted #5
            meter S3 suspended
            rejected Replace unknown_meter
            rejected Replace not_authorised
            rejected Replace not_authorised
            rejected Replace signature_expired
            rejected Replace trading_suspended
            rejected Replace unknown_order
            rejected Replace part_of_list
            rejected Replace unknown_order
            rejected Replace invalid_conditions
            rejected Replace quantity_not_on_lot
            rejected Replace quantity_above_maximum
            rejected Replace price_outside_band
            rejected Replace price_not_on_tick
            rejected Replace duplicate_client_order
            controls set
            rejected Replace capacity_exceeded
        "#]],
    );
}

#[test]
fn of_a_replacement_from_its_capacity_on() {
    check_continuous(
        "controls band 0.10
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 2kWh @ 5.00
         buy S1 2kWh @ 3.00 post-only
         sell S2 1kWh @ 4.11
         buy B2 1kWh @ 4.11
         controls smallest 11kWh value 1.00
         replace #4 S1 11kWh @ 5.00
         replace #4 S1 10kWh @ 5.00
         cancel #3
         replace #4 S1 10kWh @ 5.00
         controls value 1.00
         replace #4 S1 10kWh @ 5.00
         controls
         uncross
         sell S3 1kWh @ 4.00
         credit limit 1 1.00
         controls value 1.00
         replace #4 S1 10kWh @ 5.00
         controls
         replace #4 S1 10kWh @ 5.00
         replace #4 S1 10kWh @ 3.00",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            call
            controls set
            rejected Replace capacity_exceeded
            rejected Replace self_trade
            cancelled #3 2kWh Requested 109
            rejected Replace quantity_below_minimum
            controls set
            rejected Replace value_above_maximum
            controls set
            uncrossed 4.11 1kWh surplus 0 of 1 clamped
            trade S2#5 B2#6 1kWh @ 4.11
            continuous
            accepted #7
            platform 1 may owe 1.00
            controls set
            rejected Replace value_above_maximum
            controls set
            rejected Replace post_only_would_trade
            rejected Replace credit_exceeded
        "#]],
    );
}

#[test]
fn of_a_request_about_an_order_in_a_frozen_call() {
    check_call(
        "controls freeze 10 10
         open slot 1
         sell S1 2kWh @ 4.00
         sell S1 2kWh @ 4.00
         sell S1 2kWh @ 4.00 in block 1 of 2
         hibernate #2
         cancel #4 by 2
         reduce #4 0kWh by 2
         reduce #3 0kWh
         reduce #2 0kWh
         freeze
         cancel #1 by 2
         reduce #3 0kWh
         reduce #1 0kWh
         hibernate #3
         activate #1
         suspend meter S1
         activate #2
         activate #2 by 2",
        &expect![[r#"
            controls set
            call
            accepted #1
            accepted #2
            accepted #3
            hibernated #2 2kWh
            rejected Cancel unknown_order
            rejected Reduce unknown_order
            rejected Reduce part_of_list
            rejected Reduce unknown_order
            frozen
            due now+10s
            rejected Cancel not_authorised
            rejected Reduce wrong_phase
            rejected Reduce wrong_phase
            rejected Hibernate wrong_phase
            rejected Activate wrong_phase
            meter S1 suspended
            rejected Activate trading_suspended
            rejected Activate not_authorised
        "#]],
    );
}

#[test]
fn of_a_request_about_an_order_that_is_gone_and_past_the_gate() {
    check_call(
        "controls freeze 10 10
         open slot 1
         sell S1 2kWh @ 4.00
         sell S1 2kWh @ 4.00
         sell S1 2kWh @ 4.00 in block 1 of 2
         hibernate #2
         freeze
         mass cancel meter S1 only slot 0
         cancel #1
         reduce #1 0kWh
         replace #1 S1 0kWh @ 99.00
         at gate+1
         cancel #1
         cancel #1 by 2
         reduce #3 0kWh
         activate #2
         replace #1 S1 0kWh @ 99.00
         suspend meter S1
         activate #2
         replace #1 S1 0kWh @ 99.00",
        &expect![[r#"
            controls set
            call
            accepted #1
            accepted #2
            accepted #3
            hibernated #2 2kWh
            frozen
            due now+10s
            cancelled #1 2kWh MassCancel 101
            cancelled #2 2kWh MassCancel 102
            cancelled #3 2kWh MassCancel 103
            cancelled 3 of meter S1 for the operator
            rejected Cancel unknown_order
            rejected Reduce unknown_order
            rejected Replace unknown_order
            rejected Cancel gate_closed
            rejected Cancel not_authorised
            rejected Reduce gate_closed
            rejected Activate gate_closed
            rejected Replace gate_closed
            meter S1 suspended
            rejected Activate trading_suspended
            rejected Replace trading_suspended
        "#]],
    );
}

#[test]
fn controls_that_do_not_fit() {
    check_continuous(
        "controls of 9 freeze 2 1
         controls freeze 2 1
         controls freeze 1 0
         controls collar -0.000001
         controls band -0.000001
         controls value -0.01
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 1kWh @ 9.00
         buy B1 1kWh @ 9.00
         controls freeze 65535 65535
         controls freeze 0 65535 value 92233720368547758.07 executions 4294967295",
        &expect![[r#"
            refused unknown_market
            refused invalid_market
            refused invalid_market
            refused invalid_market
            refused invalid_market
            refused invalid_market
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            trade S1#3 B1#4 1kWh @ 9.00 maker sell
            controls set
            controls set
        "#]],
    );
}

#[test]
fn owners_of_meters_have_a_largest_number() {
    check_continuous(
        "meter 17 owner 67108865
         meter 17 owner 4294967295
         meter 17 owner 67108864
         meter 17 owner 67108863
         meter 18 owner 67108864",
        &expect![[r#"
            refused owner_out_of_range
            refused owner_out_of_range
            refused owner_out_of_range
            refused owner_out_of_range
            refused meter_not_next
        "#]],
    );
}

/// A script for each code that an engine can give; the last line that it says names the code.
const WAYS: &[(RejectReason, &str)] = {
    use RejectReason as R;
    &[
        (R::UnknownMeter, "sell S99 1kWh @ 4.00"),
        (R::NotAuthorised, "sell S1 1kWh @ 4.00 by 2"),
        (R::SignatureExpired, "sell S1 1kWh @ 4.00 until opening-1"),
        (R::TradingSuspended, "suspend everyone\nsell S1 1kWh @ 4.00"),
        (R::UnknownMarket, "sell S1 1kWh @ 4.00 of 9"),
        (R::SlotMisaligned, "sell S1 1kWh @ 4.00 misaligned"),
        (R::SlotNotOpen, "sell S1 1kWh @ 4.00"),
        (R::GateClosed, "at gate+1\nsell S1 1kWh @ 4.00"),
        (R::WrongPhase, "open\nsell S1 1kWh @ 4.00 ioc"),
        (R::UnknownOrder, "cancel #1"),
        (R::QuantityNotOnLot, "open\nsell S1 1Wh @ 4.00"),
        (R::QuantityAboveMaximum, "open\nsell S1 13kWh @ 4.00"),
        (R::PriceOutsideBand, "open\nsell S1 1kWh @ 14.00"),
        (R::PriceNotOnTick, "open\nsell S1 1kWh @ 4.001"),
        (R::DuplicateClientOrder, "open\nsell S1 1kWh @ 4.00 as 1\nsell S1 2kWh @ 4.00 as 1"),
        (R::CapacityExceeded, "open\nbuy S1 11kWh @ 4.00"),
        (R::SelfTrade, "open\nsell S1 1kWh @ 4.00\nbuy S1 1kWh @ 4.00"),
        (R::OrderLimitReached, "open\nSIX\nsell S1 1kWh @ 4.00"),
        (R::QuantityBelowMinimum, "open\ncontrols smallest 2kWh\nsell S1 1kWh @ 4.00"),
        (R::ValueAboveMaximum, "open\ncontrols value 2.00\nsell S1 1kWh @ 4.00"),
        (R::InvalidConditions, "open\nsell S1 1kWh @ 4.00 all-or-none minimum 1kWh"),
        (R::PostOnlyWouldTrade, "open\nuncross\nsell S1 1kWh @ 4.00\nbuy B1 1kWh @ 4.00 post-only"),
        (R::CreditExceeded, "open\ncredit limit 2 3.99\nbuy B1 1kWh @ 4.00"),
        (
            R::ExecutionLimitReached,
            "open\nuncross\ncontrols executions 1\nsell S1 1kWh @ 4.00\nbuy B1 1kWh @ 4.00
             sell S1 1kWh @ 4.00",
        ),
        (R::InvalidList, "open\nsell S1 1kWh @ 4.00 in block 1 of 0"),
        (R::PartOfList, "open\nsell S1 1kWh @ 4.00 in block 1 of 2\nhibernate #1"),
        (R::InvalidMarket, "controls collar -1.00"),
        (R::AlreadyRegistered, "open\nopen"),
        (R::MeterNotNext, "meter 8"),
        (R::RegistryFull, "market 2\nmarket 3"),
        (R::UnknownParty, "meter 7 utility 2"),
        (R::OwnerOutOfRange, "meter 7 owner 67108865"),
        (R::AuctionNotDue, "controls freeze 1 1\nopen\nuncross"),
        (R::InvalidScope, "suspend session 1"),
        (R::InvalidCredit, "credit limit 1 -0.01"),
        (R::DelegationMissing, "open\nsell S1 1kWh @ 4.00 delegated"),
        (
            R::DelegationExpired,
            "open\ndelegate S1 to 1 number 1 till now+5\nat now+10\nsell S1 1kWh @ 4.00 delegated",
        ),
        (
            R::DelegationExceeded,
            "open\ndelegate S1 to 1 number 1 sell\nbuy S1 1kWh @ 4.00 delegated",
        ),
        (R::UnknownOffer, "offer S1 to B1 1kWh @ 4.00\ndecline %1"),
        (R::TermsDiffer, "open\noffer S1 to B1 1kWh @ 4.00\naccept %1 but 2kWh"),
        (R::SameParty, "open\noffer S1 to S1 1kWh @ 4.00"),
        (R::ReferenceTaken, "open\noffer S1 to B1 1kWh @ 4.00\noffer S1 to B1 2kWh @ 4.00"),
        (
            R::UnknownTrade,
            "open\nuncross\nsell S1 4kWh @ 4.00\nbuy B1 4kWh @ 4.00\nchange 2 S1 to 3kWh",
        ),
        (
            R::StaleVersion,
            "open\nuncross\nsell S1 4kWh @ 4.00\nbuy B1 4kWh @ 4.00\n\
             change 1 S1 version 2 to 3kWh",
        ),
        (
            R::AmendmentOpen,
            "open\nuncross\nsell S1 4kWh @ 4.00\nbuy B1 4kWh @ 4.00\n\
             change 1 S1 to 3kWh\nchange 1 B1 to 2kWh ref 2",
        ),
        (
            R::NothingToChange,
            "open\nuncross\nsell S1 4kWh @ 4.00\nbuy B1 4kWh @ 4.00\nchange 1 S1 to 4kWh",
        ),
        (R::GridLimit, "open\nplace S1 Z1\nlimit Z1 sell 0kWh\nsell S1 1kWh @ 4.00"),
        (R::RevisionOutdated, "limit Z1 sell 1kWh rev 2\nlimit Z1 sell 1kWh"),
        (
            R::OperationOutdated,
            "party operator 1\noperator 1 number 2 suspend everyone\noperator 1 number 2 suspend everyone",
        ),
        (
            R::OperationUnknown,
            "party operator 1\nparty operator 2\noperator 2 agrees with 1 number 1 kill everyone",
        ),
        (R::OperationsFull, "party operator 1\nPROPOSED"),
        (R::MembersOutOfTurn, "list 7 S1 1kWh page 1"),
        (R::MembersInvalid, "list 7"),
        (R::MembersDiffer, "open\naggregate sell @ 4.00 S1 1kWh unlisted"),
        (
            R::AggregateSelfTrade,
            "open\nuncross\ndelegate S1 to 1 number 1\naggregate sell @ 4.00 S1 1kWh\n\
             buy S1 1kWh @ 3.00",
        ),
        (R::NotForAggregates, "open\naggregate sell @ 4.00 S1 1kWh fok"),
        (R::DelegationOutdated, "delegate S1 to 1 number 2\ndelegate S1 to 1 number 1"),
    ]
};

#[test]
fn there_is_a_way_to_every_code_of_an_engine() {
    let ways: BTreeSet<RejectReason> = WAYS.iter().map(|&(reason, _)| reason).collect();
    // The others are of sessions, signatures and what settlement can take: they never reach an engine.
    let all = RejectReason::ALL.iter().filter(|reason| reason.code() >= 20);
    let edge = [RejectReason::SignatureInvalid, RejectReason::OtherCurrency];
    let engine = all.copied().filter(|reason| !edge.contains(reason));
    assert_eq!(ways, engine.collect());
    for (reason, lines) in WAYS {
        let proposed = (1..=65).map(|number| format!("operator 1 number {number} kill everyone\n"));
        let lines = lines.replace("SIX", &"sell S1 1kWh @ 4.00\n".repeat(6));
        let said = script::run(&lines.replace("PROPOSED", &proposed.collect::<String>()));
        let last = said.lines().last().unwrap();
        assert_eq!(last.split(' ').next_back(), Some(reason.name()), "{lines}:\n{said}");
    }
}

#[test]
fn what_can_be_asked_says_what_was_set() {
    let mut stage = Stage::large();
    stage.perform(
        "controls scope owner self-trade decrement allocation pro_rata smallest 1kWh value 2.00 \
         collar 0.30 band 0.40 executions 5 freeze 6 7",
    );
    expect![[r#"
        MarketControls {
            market: MarketId(
                1,
            ),
            self_trade_scope: Owner,
            self_trade: Decrement,
            allocation: ProRata,
            quantity_min: Energy(
                1000,
            ),
            value_max: Money(
                200,
            ),
            collar: Price(
                300000,
            ),
            dynamic_band: Price(
                400000,
            ),
            executions_max: 5,
            freeze_min_s: 6,
            freeze_max_s: 7,
        }
    "#]]
    .assert_debug_eq(stage.engine.controls(types::MarketId::new(1)).unwrap());
    assert_eq!(stage.engine.controls(types::MarketId::new(2)), None);
}
