//! Limits of the grid: where meters hang, what is refused, and which orders go for a limit.

use expect_test::expect;
use types::{
    CancelReason, ClientOrderId, Command, Event, GridLimit, GridPlace, MASS_CANCEL_MAX, MeterId,
    PlaceName, PlaceNote, Sequenced, Side, UtilityId,
};

use super::{
    check_after, check_continuous, check_large,
    stage::{FIRST_SLOT_MINUTE, Stage},
    words::{self, Words},
};
use crate::{Engine, Limits};

/// Two meters on a feeder, one on another, one of the zone and no feeder, all since ever.
const PLACES: &str = "open
    uncross
    place S1 Z1/F1
    place S2 Z1/F1
    place S3 Z1/F2
    place S4 Z1";

/// Lines of a script about the grid.
impl Stage {
    /// `place S1 Z1/F1 [from slot N] [rev N] [number N]`; `-` for what is not said.
    pub(super) fn place(words: &mut Words<'_>) -> Command {
        let number = words.number("number").map_or(1, u64::from);
        let revision = u32::from(words.number("rev").unwrap_or(1));
        let from_minute = if words.flag("from") {
            words.key().slot.start_minute()
        } else {
            FIRST_SLOT_MINUTE - 100_000
        };
        let meter = MeterId::new(words::meter_number(words.next()));
        let (zone, feeder) = names(words.next());
        Command::NotePlace(PlaceNote { number, meter, from_minute, revision, zone, feeder })
    }

    /// `limit Z1/F1 sell 5kWh [slot N] [rev N] [utility N] [number N]`.
    pub(super) fn grid_limit(words: &mut Words<'_>) -> Command {
        let number = words.number("number").map_or(1, u64::from);
        let revision = u32::from(words.number("rev").unwrap_or(1));
        let utility = UtilityId::new(words.number("utility").unwrap_or(1));
        let slot = words.key().slot;
        let (zone, feeder) = names(words.next());
        let side = if words.next() == "buy" { Side::Buy } else { Side::Sell };
        let limit = words::energy(words.next());
        let place = GridPlace { utility, zone: zone.unwrap(), feeder };
        Command::SetGridLimit(GridLimit { number, place, side, slot, limit, revision })
    }
}

fn names(text: &str) -> (Option<PlaceName>, Option<PlaceName>) {
    let (zone, feeder) = text.split_once('/').unwrap_or((text, "-"));
    let name = |text: &str| (text != "-").then(|| PlaceName::new(text).unwrap());
    (name(zone), name(feeder))
}

#[test]
fn t88_a_place_has_no_more_than_its_limit_open_and_traded() {
    check_after(
        PLACES,
        "sell S1 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         limit Z1/F1 sell 5kWh
         sell S2 3.01kWh @ 4.00
         validate sell S2 3.01kWh @ 4.00
         sell S2 3kWh @ 4.00
         sell S1 0.01kWh @ 4.00
         buy S1 9kWh @ 3.00
         sell S3 9kWh @ 4.00
         sell B1 9kWh @ 4.00
         cancel #3
         sell S1 3kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            limit 1 of Z1/F1 sell: 5kWh, has 2kWh, above by 0kWh, 0 gone
            rejected New grid_limit
            rejected Validate grid_limit
            accepted #3
            rejected New grid_limit
            accepted #4
            accepted #5
            accepted #6
            cancelled #3 3kWh Requested 110
            accepted #7
        "#]],
    );
}

#[test]
fn t89_feeder_and_zone_both_count() {
    check_after(
        PLACES,
        "limit Z1 sell 5kWh
         limit Z1/F1 sell 4kWh
         sell S1 4.01kWh @ 4.00
         sell S1 4kWh @ 4.00
         sell S3 1.01kWh @ 4.00
         sell S4 1kWh @ 4.00
         sell S3 0.01kWh @ 4.00
         limit Z1 sell 6kWh rev 2
         sell S3 1kWh @ 4.00",
        &expect![[r#"
            limit 1 of Z1 sell: 5kWh, has 0kWh, above by 0kWh, 0 gone
            limit 1 of Z1/F1 sell: 4kWh, has 0kWh, above by 0kWh, 0 gone
            rejected New grid_limit
            accepted #1
            rejected New grid_limit
            accepted #2
            rejected New grid_limit
            limit 1 of Z1 sell: 6kWh, has 5kWh, above by 0kWh, 0 gone
            accepted #3
        "#]],
    );
}

#[test]
fn whatever_asks_for_more_is_checked_and_whatever_asks_for_less_makes_room() {
    check_after(
        PLACES,
        "limit Z1/F1 sell 5kWh
         sell S1 3kWh @ 4.00
         replace #1 S1 5.01kWh @ 4.00
         replace #1 S1 5kWh @ 4.00
         sell S2 1kWh @ 4.00
         reduce #1 2kWh
         sell S2 2kWh @ 4.00
         hibernate #2
         sell S2 1kWh @ 4.00
         activate #2
         replace #2 S2 1kWh @ 4.10
         sell S2 1kWh @ 4.00 ioc
         sell S2 1kWh @ 4.20 expires now+5s until-time now+5s
         offer S2 to B1 0.01kWh @ 4.00
         mass cancel meter S1
         offer S2 to B1 2kWh @ 4.00
         accept %1
         sell S1 1.01kWh @ 4.00
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            limit 1 of Z1/F1 sell: 5kWh, has 0kWh, above by 0kWh, 0 gone
            accepted #1
            rejected Replace grid_limit
            replaced #1 5kWh @ 4.00
            rejected New grid_limit
            replaced #1 3kWh @ 4.00 in place
            accepted #2
            hibernated #2 2kWh
            rejected New grid_limit
            activated #2 2kWh
            replaced #2 1kWh @ 4.10
            accepted #3
            cancelled #3 1kWh ImmediateOrCancel 111
            accepted #4
            rejected Offer grid_limit
            cancelled #1 3kWh MassCancel 101
            cancelled 1 of meter S1 for the operator
            offered %1 S2 to B1 of 2: sell 2kWh @ 4.00
            agreed %1 as trade 1 (115 and 116)
            trade S2#0 B1#0 2kWh @ 4.00
            rejected New grid_limit
            accepted #5
        "#]],
    );
}

#[test]
fn blocks_and_baskets_are_checked_part_by_part() {
    check_after(
        "open
         open slot 1
         uncross
         uncross slot 1
         place S1 Z1/F1",
        "limit Z1/F1 sell 1kWh slot 1
         sell S1 2kWh @ 4.00 in block 7 of 2
         sell S1 2kWh @ 4.00 slot 1 in block 7 of 2
         sell S1 1kWh @ 4.00 in block 8 of 2
         sell S1 1kWh @ 4.00 slot 1 in block 8 of 2
         limit Z1/F1 sell 0kWh slot 1 rev 2
         sell S1 1kWh @ 4.00 fok slot 1 in basket 9 of 2",
        &expect![[r#"
            limit 1 of Z1/F1 sell: 1kWh, has 0kWh, above by 0kWh, 0 gone
            accepted #1
            rejected New grid_limit
            cancelled #1 2kWh List 101
            accepted #2
            accepted #3
            cancelled #3 1kWh GridLimit 104
            cancelled #2 1kWh List 103
            limit 1 of Z1/F1 sell: 0kWh, has 0kWh, above by 0kWh, 2 gone
            rejected New grid_limit
        "#]],
    );
}

#[test]
fn t90_for_a_lower_limit_the_newest_orders_go_and_trades_stand() {
    check_after(
        PLACES,
        "limit Z1 sell 20kWh
         sell S1 2kWh @ 4.00
         sell S2 2kWh @ 3.90
         sell S3 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         buy S1 1kWh @ 3.00
         hibernate #3
         limit Z1 sell 4.5kWh rev 2
         limit Z1 sell 0.5kWh rev 3
         sell S4 0.01kWh @ 4.00
         limit Z1 sell 2kWh rev 4
         sell S4 1.01kWh @ 4.00
         sell S4 1kWh @ 4.00",
        &expect![[r#"
            limit 1 of Z1 sell: 20kWh, has 0kWh, above by 0kWh, 0 gone
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#2 B1#4 1kWh @ 3.90 maker sell
            accepted #5
            hibernated #3 2kWh
            cancelled #3 2kWh GridLimit 103
            limit 1 of Z1 sell: 4.5kWh, has 4kWh, above by 0kWh, 1 gone
            cancelled #2 1kWh GridLimit 102
            cancelled #1 2kWh GridLimit 101
            limit 1 of Z1 sell: 0.5kWh, has 1kWh, above by 0.5kWh, 2 gone
            rejected New grid_limit
            limit 1 of Z1 sell: 2kWh, has 1kWh, above by 0kWh, 0 gone
            rejected New grid_limit
            accepted #6
        "#]],
    );
}

#[test]
fn t93_the_same_again_changes_nothing_and_what_is_outdated_is_refused() {
    check_after(
        PLACES,
        "limit Z1 sell 5kWh rev 2
         limit Z1 sell 5kWh rev 2 number 2
         limit Z1 sell 6kWh rev 2
         limit Z1 sell 5kWh rev 1
         limit Z1 sell 5kWh rev 3
         limit Z1 sell 5kWh utility 9
         place S1 Z1/F1 number 7
         place S1 Z1/F2
         place S1 Z1/F2 rev 2
         place S1 Z1/F1
         place S9 Z1/F1
         at gate+1
         limit Z1 sell 4kWh rev 4 slot 1
         at now+14400s
         limit Z1 sell 4kWh rev 4",
        &expect![[r#"
            limit 1 of Z1 sell: 5kWh, has 0kWh, above by 0kWh, 0 gone
            limit 2 of Z1 sell: 5kWh, has 0kWh, above by 0kWh, 0 gone
            refused number 1: revision_outdated
            refused number 1: revision_outdated
            limit 1 of Z1 sell: 5kWh, has 0kWh, above by 0kWh, 0 gone
            refused number 1: unknown_party
            place of S1 noted, 0 gone
            refused number 1: revision_outdated
            place of S1 noted, 0 gone
            refused number 1: revision_outdated
            refused number 1: unknown_meter
            limit 1 of Z1 sell: 4kWh, has 0kWh, above by 0kWh, 0 gone
            refused number 1: gate_closed
        "#]],
    );
}

#[test]
fn t91_a_meter_counts_where_it_hangs_when_the_slot_begins() {
    check_after(
        "open
         open slot 1
         uncross
         uncross slot 1
         place S1 Z1/F1
         place S1 -/F2 from slot 1
         place S2 Z1/F2",
        "limit Z1/F1 sell 1kWh
         limit Z1/F1 sell 1kWh slot 1
         limit Z1/F2 sell 2kWh slot 1
         sell S1 2kWh @ 4.00
         sell S1 2kWh @ 4.00 slot 1
         sell S2 1kWh @ 4.00 slot 1
         place S1 -/F3 from slot 1 rev 2
         sell S2 1kWh @ 4.00 slot 1
         place S1 -/F2 from slot 1 rev 3
         place S1 -/F2 from slot 1 rev 3
         place S2 Z2/- from slot 1",
        &expect![[r#"
            limit 1 of Z1/F1 sell: 1kWh, has 0kWh, above by 0kWh, 0 gone
            limit 1 of Z1/F1 sell: 1kWh, has 0kWh, above by 0kWh, 0 gone
            limit 1 of Z1/F2 sell: 2kWh, has 0kWh, above by 0kWh, 0 gone
            rejected New grid_limit
            accepted #1
            rejected New grid_limit
            place of S1 noted, 0 gone
            accepted #2
            cancelled #2 1kWh GridLimit 104
            place of S1 noted, 1 gone
            place of S1 noted, 0 gone
            place of S2 noted, 0 gone
        "#]],
    );
}

#[test]
fn t92_a_limit_counts_over_all_markets_and_until_its_slot_begins() {
    check_large(
        "market 2
         open of 2
         limit Z1 sell 3kWh
         place S1 Z1
         open
         uncross
         sell S1 2kWh @ 4.00
         sell S1 2kWh @ 4.00 of 2
         sell S1 1kWh @ 4.00 of 2
         buy B1 2kWh @ 4.00
         close of 2
         sell S1 1kWh @ 4.00
         at gate
         sell S1 0.01kWh @ 4.00
         at gate+1
         close
         pass time
         at now+14400s
         place S1 Z2 rev 2",
        &expect![[r#"
            market 2 defined
            call
            limit 1 of Z1 sell: 3kWh, has 0kWh, above by 0kWh, 0 gone
            place of S1 noted, 0 gone
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            rejected New grid_limit
            accepted #2
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            cancelled #2 1kWh GateClosed 103
            closed
            accepted #4
            rejected New grid_limit
            cancelled #4 1kWh GateClosed 105
            closed
            place of S1 noted, 0 gone
        "#]],
    );
}

#[test]
fn a_slot_without_limits_is_as_it_was() {
    check_continuous(
        "place S1 Z1/F1
         limit Z1/F1 sell 0kWh slot 1
         sell S1 2kWh @ 4.00
         buy B1 2kWh @ 4.00",
        &expect![[r#"
            place of S1 noted, 0 gone
            limit 1 of Z1/F1 sell: 0kWh, has 0kWh, above by 0kWh, 0 gone
            accepted #1
            accepted #2
            trade S1#1 B1#2 2kWh @ 4.00 maker sell
        "#]],
    );
}

/// What one command may cancel is bounded; the same command again goes on.
#[test]
fn a_limit_that_many_orders_have_to_go_for_takes_more_than_one_command() {
    let mut stage = Stage::large();
    stage.perform("open\nplace S8 Z1");
    let limits = Limits { orders_max: 300_000, book_orders_max: 300_000, ..stage.limits };
    let mut engine = Engine::restore(limits, &stage.engine.snapshot()).unwrap();
    let (mut seq, mut time) = (stage.seq, stage.time);
    let mut apply = |engine: &mut Engine, value: Command| {
        seq = seq.next();
        time = time.plus_ns(1);
        let mut events = Vec::new();
        engine.apply(&Sequenced { seq, time, value }, &mut events);
        events
    };
    let Command::NewOrder(mut order) = stage.parse("sell S8 10Wh @ 4.00") else {
        panic!("an order")
    };
    for number in 0..u64::from(MASS_CANCEL_MAX) + 2 {
        order.order.client_order = ClientOrderId::new(1_000 + number);
        let events = apply(&mut engine, Command::NewOrder(order));
        assert!(matches!(events[..], [Event::OrderAccepted(_)]), "{events:?}");
    }
    let limit = stage.parse("limit Z1 sell 10Wh");
    let first = apply(&mut engine, limit);
    let Some(Event::GridLimitSet(set)) = first.last() else { panic!("no answer") };
    assert_eq!((set.cancelled, set.complete, set.used.wh()), (MASS_CANCEL_MAX, false, 20));
    let gone = &first[..first.len() - 1];
    assert!(gone.iter().all(|event| {
        matches!(event, Event::OrderCancelled(one) if one.reason == CancelReason::GridLimit)
    }));
    let again = apply(&mut engine, limit);
    let Some(Event::GridLimitSet(set)) = again.last() else { panic!("no answer") };
    assert_eq!((set.cancelled, set.complete, set.above().wh()), (1, true, 0));
    assert_eq!(engine.open_orders(), 1);
    engine.check_invariants();
}

/// A restored engine counts what the snapshot's orders and contracts have.
#[test]
fn a_snapshot_with_places_and_limits_is_of_its_own_format() {
    let mut stage = Stage::large();
    stage.perform("open");
    assert!(stage.engine.snapshot().starts_with(b"gridcross snapshot 2"));
    stage.perform("place S1 Z1/F1");
    let snapshot = stage.engine.snapshot();
    assert!(snapshot.starts_with(b"gridcross snapshot 4"));
    for length in 0..snapshot.len() {
        assert!(Engine::restore(stage.limits, &snapshot[..length]).is_err(), "{length}");
    }
}
