//! Many orders at once: mass cancellations, suspensions, kills.

use expect_test::expect;
use types::{
    CancelReason, ClientOrderId, Command, Event, MASS_CANCEL_MAX, MassCancel, MassCancelled, Scope,
    Sequenced,
};

use super::{check_after, check_continuous, check_large, stage::Stage};
use crate::Limits;

#[test]
fn a_mass_cancellation_goes_by_slot_in_the_order_of_opening_and_by_number() {
    check_after(
        "open slot 1
         open",
        "sell S1 1kWh @ 4.00 as 11
         sell S2 1kWh @ 5.00 slot 1 as 12
         sell S2 1kWh @ 4.00 slot 1 as 13
         buy B1 1kWh @ 3.00 as 11
         sell S3 1kWh at market as 14
         hibernate #1
         mass cancel everyone by 1 as 77
         mass cancel everyone by 1 as 78
         mass cancel everyone
         mass cancel everyone",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            hibernated #1 1kWh
            cancelled #2 1kWh MassCancel 12
            cancelled #3 1kWh MassCancel 13
            cancelled #1 1kWh MassCancel 11
            cancelled #5 1kWh MassCancel 14
            cancelled 4 of everyone for platform 1 as 77
            cancelled 0 of everyone for platform 1 as 78
            cancelled #4 1kWh MassCancel 11
            cancelled 1 of everyone for the operator
            cancelled 0 of everyone for the operator
        "#]],
    );
}

#[test]
fn t37_a_platform_reaches_only_its_own_orders_whatever_the_scope() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         sell S6 1kWh @ 4.00 session 9
         buy B1 1kWh @ 3.00 session 9
         buy B6 1kWh @ 3.00
         mass cancel platform 2 by 1
         mass cancel meter B1 by 1
         mass cancel session 9 by 3
         mass cancel session 9 by 1
         mass cancel retailer 2 by 1
         mass cancel retailer 2 by 2
         mass cancel platform 1 by 1
         mass cancel session 9 by 2
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled 0 of platform 2 for platform 1 as 105
            cancelled 0 of meter B1 for platform 1 as 106
            cancelled 0 of session 9 for platform 3 as 107
            cancelled #2 1kWh MassCancel 102
            cancelled 1 of session 9 for platform 1 as 108
            cancelled 0 of retailer 2 for platform 1 as 109
            cancelled #4 1kWh MassCancel 104
            cancelled 1 of retailer 2 for platform 2 as 110
            cancelled #1 1kWh MassCancel 101
            cancelled 1 of platform 1 for platform 1 as 111
            cancelled #3 1kWh MassCancel 103
            cancelled 1 of session 9 for platform 2 as 112
            buy | sell
        "#]],
    );
}

#[test]
fn the_operator_reaches_the_orders_of_a_scope() {
    check_continuous(
        "sell S1 1kWh @ 4.00 session 9
         sell S6 1kWh @ 4.00
         sell B6 1kWh @ 4.00
         sell B1 1kWh @ 4.00 session 9
         sell S2 1kWh @ 4.00
         mass cancel retailer 2
         mass cancel session 9
         mass cancel meter S1
         mass cancel platform 7
         mass cancel meter S99
         mass cancel platform 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            cancelled #2 1kWh MassCancel 102
            cancelled #3 1kWh MassCancel 103
            cancelled 2 of retailer 2 for the operator
            cancelled #1 1kWh MassCancel 101
            cancelled #4 1kWh MassCancel 104
            cancelled 2 of session 9 for the operator
            cancelled 0 of meter S1 for the operator
            cancelled 0 of platform 7 for the operator
            cancelled 0 of meter S99 for the operator
            cancelled #5 1kWh MassCancel 105
            cancelled 1 of platform 1 for the operator
        "#]],
    );
}

#[test]
fn a_session_is_the_one_an_order_was_entered_on() {
    check_continuous(
        "sell S1 2kWh @ 4.00 session 9
         replace #1 S1 2kWh @ 4.10 session 8
         reduce #1 1kWh session 8
         hibernate #1 session 8
         activate #1 session 8
         mass cancel session 8 by 1
         mass cancel session 9 by 1",
        &expect![[r#"
            accepted #1
            replaced #1 2kWh @ 4.10
            replaced #1 1kWh @ 4.10 in place
            hibernated #1 1kWh
            activated #1 1kWh
            cancelled 0 of session 8 for platform 1 as 106
            cancelled #1 1kWh MassCancel 101
            cancelled 1 of session 9 for platform 1 as 107
        "#]],
    );
}

#[test]
fn a_mass_cancellation_of_one_slot() {
    check_continuous(
        "open slot 1
         open slot 2
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00 slot 1
         sell S1 1kWh @ 4.00 slot 2
         mass cancel meter S1 by 1 only slot 1
         mass cancel everyone only slot 2
         mass cancel everyone only slot 2
         mass cancel everyone",
        &expect![[r#"
            call
            call
            accepted #1
            accepted #2
            accepted #3
            cancelled #2 1kWh MassCancel 102
            cancelled 1 of meter S1 for platform 1 as 104
            cancelled #3 1kWh MassCancel 103
            cancelled 1 of everyone for the operator
            cancelled 0 of everyone for the operator
            cancelled #1 1kWh MassCancel 101
            cancelled 1 of everyone for the operator
        "#]],
    );
}

#[test]
fn a_mass_cancellation_of_a_slot_that_is_not_known() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         mass cancel everyone by 1 only of 9
         mass cancel everyone by 1 only misaligned
         mass cancel everyone by 1 only short
         mass cancel everyone by 1 only slot 1
         mass cancel everyone only of 9
         mass cancel everyone only misaligned
         mass cancel everyone only slot 1
         close
         mass cancel everyone only slot 0
         mass cancel everyone by 1 only slot 0",
        &expect![[r#"
            accepted #1
            rejected MassCancel unknown_market
            rejected MassCancel slot_misaligned
            rejected MassCancel slot_misaligned
            rejected MassCancel slot_not_open
            refused unknown_market
            refused slot_misaligned
            refused slot_not_open
            cancelled #1 1kWh GateClosed 101
            closed
            cancelled 0 of everyone for the operator
            cancelled 0 of everyone for platform 1 as 110
        "#]],
    );
}

#[test]
fn t38_a_mass_cancellation_works_in_every_phase_and_past_the_gate() {
    check_large(
        "controls freeze 10 10
         open
         open slot 1
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00 slot 1
         mass cancel everyone by 1 only slot 1
         sell S1 1kWh @ 4.00 slot 1
         freeze slot 1
         mass cancel everyone by 1 only slot 1
         freeze
         at now+10s
         uncross
         at gate+1
         mass cancel everyone by 1
         suspend everyone
         mass cancel everyone by 1",
        &expect![[r#"
            controls set
            call
            call
            accepted #1
            accepted #2
            cancelled #2 1kWh MassCancel 102
            cancelled 1 of everyone for platform 1 as 103
            accepted #3
            frozen
            due now+10s
            cancelled #3 1kWh MassCancel 104
            cancelled 1 of everyone for platform 1 as 105
            frozen
            due now+10s
            uncrossed none 0kWh surplus 0 of 0
            continuous
            cancelled #1 1kWh MassCancel 101
            cancelled 1 of everyone for platform 1 as 106
            everyone suspended
            cancelled 0 of everyone for platform 1 as 107
        "#]],
    );
}

#[test]
fn t115_a_suspension_stops_what_enters_and_nothing_else() {
    check_continuous(
        "sell S1 5kWh @ 4.00
         sell S1 5kWh @ 5.00
         sell S1 5kWh @ 6.00
         hibernate #3
         suspend meter S1
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00 ioc
         replace #1 S1 4kWh @ 4.00
         activate #3
         sell S2 1kWh @ 7.00
         reduce #1 1kWh
         hibernate #2
         cancel #2
         buy B1 1kWh @ 4.00
         cancel #1
         sell S1 5kWh @ 4.00 as 101
         resume meter S1
         activate #3
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            hibernated #3 5kWh
            meter S1 suspended
            rejected New trading_suspended
            rejected New trading_suspended
            rejected Replace trading_suspended
            rejected Activate trading_suspended
            accepted #4
            replaced #1 4kWh @ 4.00 in place
            hibernated #2 5kWh
            cancelled #2 5kWh Requested 112
            accepted #5
            trade S1#1 B1#5 1kWh @ 4.00 maker sell
            cancelled #1 3kWh Requested 114
            restated #1 filled 1kWh leaves 0kWh
            meter S1 active
            activated #3 5kWh
            accepted #6
        "#]],
    );
}

#[test]
fn t116_suspensions_are_independent_of_each_other() {
    check_continuous(
        "suspend everyone
         suspend platform 1
         suspend retailer 2
         suspend meter S6
         suspend meter S6
         show stopped
         sell S6 1kWh @ 4.00
         resume everyone
         sell S6 1kWh @ 4.00
         buy B1 1kWh @ 3.00
         buy B6 1kWh @ 3.00
         resume platform 1
         sell S6 1kWh @ 4.00
         resume meter S6
         sell S6 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         resume retailer 2
         sell S6 1kWh @ 4.00
         resume retailer 2
         show stopped",
        &expect![[r#"
            everyone suspended
            platform 1 suspended
            retailer 2 suspended
            meter S6 suspended
            meter S6 suspended
            everyone suspended, platform 1 suspended, retailer 2 suspended, meter S6 suspended
            rejected New trading_suspended
            everyone active
            rejected New trading_suspended
            accepted #1
            rejected New trading_suspended
            platform 1 active
            rejected New trading_suspended
            meter S6 active
            rejected New trading_suspended
            accepted #2
            retailer 2 active
            accepted #3
            retailer 2 active
            nobody is stopped
        "#]],
    );
}

#[test]
fn a_suspension_of_everyone_reaches_both_platforms() {
    check_continuous(
        "suspend everyone
         sell S1 1kWh @ 4.00
         buy B6 1kWh @ 4.00
         resume everyone
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            everyone suspended
            rejected New trading_suspended
            rejected New trading_suspended
            everyone active
            accepted #1
        "#]],
    );
}

#[test]
fn t117_a_kill_cancels_and_stops() {
    check_continuous(
        "open slot 1
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 3.00
         sell S1 2kWh @ 4.00 slot 1
         sell S2 3kWh @ 4.00 until-time gate
         hibernate #1
         kill platform 1
         sell S1 1kWh @ 4.00
         buy B2 1kWh @ 3.00
         resume platform 1
         sell S1 1kWh @ 4.00
         kill everyone
         show stopped
         buy B1 1kWh @ 3.00",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            hibernated #1 1kWh
            platform 1 killed
            cancelled #1 1kWh Killed 101
            cancelled #4 3kWh Killed 104
            cancelled #3 2kWh Killed 103
            cancelled 3 of platform 1 for the operator
            rejected New trading_suspended
            accepted #5
            platform 1 active
            accepted #6
            everyone killed
            cancelled #2 1kWh Killed 102
            cancelled #5 1kWh Killed 107
            cancelled #6 1kWh Killed 108
            cancelled 3 of everyone for the operator
            everyone killed
            rejected New trading_suspended
        "#]],
    );
}

#[test]
fn a_kill_reaches_retailers_meters_and_frozen_calls() {
    check_large(
        "controls freeze 10 10
         open
         sell S1 1kWh @ 4.00
         sell S6 1kWh @ 4.00
         sell B6 1kWh @ 4.00
         freeze
         kill retailer 2
         kill meter S1
         kill meter S1
         kill meter S2",
        &expect![[r#"
            controls set
            call
            accepted #1
            accepted #2
            accepted #3
            frozen
            due now+10s
            retailer 2 killed
            cancelled #2 1kWh Killed 102
            cancelled #3 1kWh Killed 103
            cancelled 2 of retailer 2 for the operator
            meter S1 killed
            cancelled #1 1kWh Killed 101
            cancelled 1 of meter S1 for the operator
            meter S1 killed
            cancelled 0 of meter S1 for the operator
            meter S2 killed
            cancelled 0 of meter S2 for the operator
        "#]],
    );
}

#[test]
fn a_kill_may_become_a_suspension_and_the_other_way() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         suspend meter S1
         kill meter S1
         suspend meter S1
         show stopped
         sell S1 1kWh @ 4.00
         resume meter S1
         show stopped
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            meter S1 suspended
            meter S1 killed
            cancelled #1 1kWh Killed 101
            cancelled 1 of meter S1 for the operator
            meter S1 suspended
            meter S1 suspended
            rejected New trading_suspended
            meter S1 active
            nobody is stopped
            accepted #2
        "#]],
    );
}

#[test]
fn scopes_that_cannot_be_stopped() {
    check_continuous(
        "sell S1 1kWh @ 4.00 session 9
         suspend platform 9
         kill retailer 9
         suspend meter S99
         kill meter S0
         suspend session 9
         kill session 9
         resume session 9
         resume platform 9
         resume retailer 9
         resume meter S99
         show stopped
         depth",
        &expect![[r#"
            accepted #1
            refused unknown_party
            refused unknown_party
            refused unknown_meter
            refused unknown_meter
            refused invalid_scope
            refused invalid_scope
            refused invalid_scope
            refused unknown_party
            refused unknown_party
            refused unknown_meter
            nobody is stopped
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

/// A stage whose first slot holds this many sells of S8, made the fast way.
fn crowd(orders: u32) -> Stage {
    let mut stage = Stage::with_limits(Limits { orders_max: 300_000, ..Limits::default() });
    stage.perform("open");
    let Command::NewOrder(mut signed) = stage.parse("sell S8 0.01kWh @ 4.00") else {
        panic!("it is a new order")
    };
    for number in 1..=u64::from(orders) {
        signed.order.client_order = ClientOrderId::new(number);
        stage.tell(Command::NewOrder(signed));
    }
    stage
}

impl Stage {
    /// Applies a command to one engine only and checks nothing.
    fn tell(&mut self, value: Command) -> Vec<Event> {
        self.seq = self.seq.next();
        self.time = self.time.plus_ns(1);
        let mut events = Vec::new();
        let command = Sequenced { seq: self.seq, time: self.time, value };
        self.engine.apply(&command, &mut events);
        events
    }
}

#[test]
fn one_command_cancels_no_more_than_its_limit_and_the_rest_of_lists() {
    let everyone = Command::MassCancel(MassCancel {
        origin: None,
        client_order: ClientOrderId::new(1),
        scope: Scope::All,
        slot: None,
    });
    let result = |events: &[Event]| match events.last() {
        Some(&Event::MassCancelled(MassCancelled { cancelled, complete, .. })) => {
            (cancelled, complete)
        }
        other => panic!("{other:?}"),
    };
    let mut stage = crowd(MASS_CANCEL_MAX);
    assert_eq!(result(&stage.tell(everyone)), (MASS_CANCEL_MAX, true));
    assert_eq!(result(&stage.tell(everyone)), (0, true));

    let mut stage = crowd(MASS_CANCEL_MAX - 1);
    for line in [
        "open slot 1",
        "buy B1 1kWh @ 3.00 in block 7 of 2",
        "buy B1 1kWh @ 3.00 slot 1 in block 7 of 2",
        "sell S1 1kWh @ 4.00 slot 1 as 999999",
    ] {
        let command = stage.parse(line);
        stage.tell(command);
    }
    let events = stage.tell(everyone);
    assert_eq!(result(&events), (MASS_CANCEL_MAX + 1, false));
    let with_its_list = events.iter().filter(|event| {
        matches!(event, Event::OrderCancelled(cancelled) if cancelled.reason == CancelReason::List)
    });
    assert_eq!(with_its_list.count(), 1);
    assert_eq!(result(&stage.tell(everyone)), (1, true));
    assert_eq!(stage.engine.open_orders(), 0);
    stage.engine.check_invariants();
}
