//! Changes of trades: what can be changed by whom and until when, and what that gives back and takes.

use expect_test::expect;
use types::{
    AmendmentTerms, Command, DeliverySlot, MeterId, OfferAmendment, Origin, SessionId, Side,
    Signature, SlotKey, TradeId,
};

use super::{
    check_large,
    script::serving,
    stage::{FIRST_SLOT_MINUTE, Stage},
    words::{self, Words},
};

/// A line of a script about a change.
impl Stage {
    pub(super) fn offer_change(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let names_slot = ["slot", "short", "misaligned", "day"].iter().any(|name| words.has(name));
        let (key, expires) = (words.key(), self.valid_until(words));
        let number: usize = words.next().parse().unwrap();
        let own = words::meter_number(words.next());
        // One that was never made is said to be like the first.
        let made = self.traded.get(number - 1).copied();
        let mut terms = made.unwrap_or_else(|| AmendmentTerms {
            trade: TradeId::new(u64::try_from(number).unwrap()),
            ..self.traded[0]
        });
        let offered_by = if terms.buyer == MeterId::new(own) { Side::Buy } else { Side::Sell };
        terms.reference = words.option("ref").map_or(1, |word| word.parse().unwrap());
        terms.expires = expires;
        terms.version = words.option("version").map_or(terms.version, |word| word.parse().unwrap());
        terms.quantity = words.option("was").map_or(terms.quantity, words::energy);
        terms.price = words.option("was-at").map_or(terms.price, words::price);
        if let Some(hours) = words.option("was-in") {
            let start = FIRST_SLOT_MINUTE + 60 * hours.parse::<u32>().unwrap();
            let slot = DeliverySlot::new(start, 60).unwrap();
            terms.key = SlotKey { slot, ..terms.key };
        }
        if let Some(other) = words.option("with") {
            let other = MeterId::new(words::meter_number(other));
            match offered_by {
                Side::Buy => terms.seller = other,
                Side::Sell => terms.buyer = other,
            }
        }
        terms.new_slot = if names_slot { key.slot } else { terms.key.slot };
        assert_eq!(words.next(), "to");
        terms.new_quantity = words::energy(words.next());
        let origin = Origin { platform: serving(words, own), session: SessionId::new(1) };
        let signature = Signature::new([9; 64]);
        Command::OfferAmendment(OfferAmendment {
            origin,
            client_order,
            terms,
            offered_by,
            signature,
        })
    }
}

/// Open slots, and a trade of 4 kWh at 4.00 between S1 and B1 in the first.
const DESK: &str = "open
    open slot 1
    open slot 2
    uncross
    sell S1 4kWh @ 4.00
    buy B1 4kWh @ 4.00
";

/// What a script does there.
pub(super) fn check_desk(script: &str, expected: &expect_test::Expect) {
    let mut stage = Stage::large();
    stage.perform(DESK);
    stage.out.clear();
    stage.perform(script);
    expected.assert_eq(&stage.out);
}

#[test]
fn t111_a_change_takes_and_gives_back_what_both_meters_hold() {
    check_desk(
        "sell S1 12kWh @ 5.00
         sell S1 4kWh @ 5.00
         sell S1 10Wh @ 5.00
         change 1 S1 to 1kWh as 7
         sell S1 10Wh @ 5.00
         accept %1 as 9
         sell S1 3.01kWh @ 5.00
         sell S1 2.99kWh @ 5.00
         change 1 B1 to 1.02kWh ref 2
         accept %2
         change 1 S1 to 1.01kWh ref 3
         withdraw %2
         change 1 S1 to 1.02kWh ref 3
         change 1 S1 to 1.01kWh ref 3
         accept %3
         sell S1 10Wh @ 5.00",
        &expect![[r#"
            accepted #3
            accepted #4
            rejected New capacity_exceeded
            offered %1 S1 to B1 of 2: trade 1 4kWh to 1kWh
            rejected New capacity_exceeded
            amended %1 to version 2 (7 and 9): trade 1 4kWh to 1kWh
            rejected New capacity_exceeded
            accepted #5
            offered %2 B1 to S1 of 1: trade 1 1kWh to 1.02kWh
            rejected Accept capacity_exceeded
            rejected Offer amendment_open
            ended %2 withdrawn 114
            rejected Offer capacity_exceeded
            offered %3 S1 to B1 of 2: trade 1 1kWh to 1.01kWh
            amended %3 to version 3 (116 and 117): trade 1 1kWh to 1.01kWh
            rejected New capacity_exceeded
        "#]],
    );
}

#[test]
fn a_moved_trade_holds_in_the_new_slot() {
    check_desk(
        "buy B1 6kWh @ 1.00 slot 1
         buy B1 6kWh @ 1.00
         change 1 S1 to 5kWh slot 1
         accept %1
         change 1 S1 to 4kWh slot 1 ref 2
         accept %1
         withdraw %1
         change 1 S1 to 4kWh slot 1 ref 2
         accept %2
         buy B1 10Wh @ 1.00 slot 1
         buy B1 4kWh @ 1.00
         buy B1 10Wh @ 1.00
         change 1 B1 to 4kWh slot 0 ref 3
         change 1 B1 to 3kWh slot 2 ref 3
         accept %3
         buy B1 4kWh @ 1.00 slot 1
         buy B1 10Wh @ 1.00 slot 1
         buy B1 7kWh @ 1.00 slot 2
         buy B1 10Wh @ 1.00 slot 2
         change 1 S1 to 4kWh slot 9 ref 4
         change 1 S1 to 4kWh misaligned ref 4
         change 1 S1 to 4kWh short ref 4",
        &expect![[r#"
            accepted #3
            accepted #4
            offered %1 S1 to B1 of 2: trade 1 4kWh to 5kWh moved 60 min
            rejected Accept capacity_exceeded
            rejected Offer amendment_open
            rejected Accept capacity_exceeded
            ended %1 withdrawn 109
            offered %2 S1 to B1 of 2: trade 1 4kWh to 4kWh moved 60 min
            amended %2 to version 2 (110 and 111): trade 1 4kWh to 4kWh moved 60 min
            rejected New capacity_exceeded
            accepted #5
            rejected New capacity_exceeded
            rejected Offer capacity_exceeded
            offered %3 B1 to S1 of 1: trade 1 4kWh to 3kWh moved 60 min
            amended %3 to version 3 (116 and 117): trade 1 4kWh to 3kWh moved 60 min
            accepted #6
            rejected New capacity_exceeded
            accepted #7
            rejected New capacity_exceeded
            rejected Offer slot_not_open
            rejected Offer slot_misaligned
            rejected Offer slot_misaligned
        "#]],
    );
}

#[test]
fn t113_a_cancelled_trade_holds_nothing_and_is_not_changed_again() {
    check_desk(
        "change 1 B1 to 0kWh slot 1
         change 1 B1 to 0kWh
         accept %1
         buy B1 10kWh @ 1.00
         change 1 S1 to 4kWh
         change 1 S1 to 0kWh
         change 1 S1 to 4kWh version 1 was 4kWh ref 2",
        &expect![[r#"
            rejected Offer quantity_not_on_lot
            offered %1 B1 to S1 of 1: trade 1 4kWh to 0kWh
            amended %1 to version 2 (104 and 105): trade 1 4kWh to 0kWh
            accepted #3
            rejected Offer nothing_to_change
            rejected Offer nothing_to_change
            rejected Offer stale_version
        "#]],
    );
}

#[test]
fn who_may_change_what() {
    check_desk(
        "change 1 S1 to 3kWh by 2
         change 1 S1 with B12 to 3kWh
         change 1 S1 to 4kWh
         change 1 S1 to 3.005kWh
         change 1 S1 to 13kWh
         change 1 S1 to 3kWh until now
         change 1 S1 to 3kWh version 2
         suspend meter B1
         change 1 S1 to 3kWh
         accept %1
         suspend meter S1
         change 1 S1 to 2kWh
         resume meter S1
         resume meter B1
         change 1 S1 to 3kWh
         change 1 S1 to 2kWh
         change 1 S1 to 2kWh ref 2
         accept %1 by 1
         accept %1 same side
         accept %1 but 2kWh
         accept %1
         accept %1
         change 1 S1 version 1 was 4kWh to 3kWh
         change 1 S1 version 1 to 2kWh ref 3
         change 1 S1 was 4kWh to 2kWh ref 3
         change 1 S1 was-at 4.10 to 2kWh ref 3
         change 1 S1 was-in 1 to 2kWh ref 3
         change 1 S1 with B2 to 2kWh ref 3
         change 1 S1 version 3 to 2kWh ref 3",
        &expect![[r#"
            rejected Offer not_authorised
            rejected Offer unknown_meter
            rejected Offer nothing_to_change
            rejected Offer quantity_not_on_lot
            rejected Offer quantity_above_maximum
            rejected Offer signature_expired
            rejected Offer stale_version
            meter B1 suspended
            offered %1 S1 to B1 of 2: trade 1 4kWh to 3kWh
            rejected Accept trading_suspended
            meter S1 suspended
            rejected Offer trading_suspended
            meter S1 active
            meter B1 active
            restated %1 open trade 0 to the sell
            rejected Offer reference_taken
            rejected Offer amendment_open
            rejected Accept not_authorised
            rejected Accept not_authorised
            rejected Accept terms_differ
            amended %1 to version 2 (110 and 119): trade 1 4kWh to 3kWh
            restated %1 agreed trade 1 to the buy
            restated %1 agreed trade 1 to the sell
            rejected Offer stale_version
            rejected Offer terms_differ
            rejected Offer terms_differ
            rejected Offer terms_differ
            rejected Offer terms_differ
            rejected Offer stale_version
        "#]],
    );
}

#[test]
fn t112_a_change_ends_as_offers_do_and_at_the_gate_of_either_slot() {
    check_desk(
        "change 1 S1 to 3kWh
         decline %1
         change 1 S1 to 3kWh
         change 1 S1 to 3kWh ref 2
         withdraw %2
         change 1 S1 to 3kWh ref 3 until now+30s
         at now+30s
         pass time
         at now+1
         accept %3
         change 1 S1 to 3kWh ref 4
         kill meter B1
         resume meter B1
         change 1 S1 to 3kWh ref 5 slot 1
         at gate
         accept %5 but 2kWh
         at gate+1
         accept %5
         change 1 S1 to 3kWh ref 6
         close
         accept %5",
        &expect![[r#"
            offered %1 S1 to B1 of 2: trade 1 4kWh to 3kWh
            ended %1 declined 104
            restated %1 declined trade 0 to the sell
            offered %2 S1 to B1 of 2: trade 1 4kWh to 3kWh
            ended %2 withdrawn 107
            offered %3 S1 to B1 of 2: trade 1 4kWh to 3kWh
            ended %3 expired 0
            rejected Accept unknown_offer
            offered %4 S1 to B1 of 2: trade 1 4kWh to 3kWh
            meter B1 killed
            ended %4 killed 0
            cancelled 0 of meter B1 for the operator
            meter B1 active
            offered %5 S1 to B1 of 2: trade 1 4kWh to 3kWh moved 60 min
            rejected Accept terms_differ
            rejected Accept gate_closed
            rejected Offer gate_closed
            ended %5 gate_closed 0
            closed
            rejected Accept unknown_offer
        "#]],
    );
}

#[test]
fn a_trade_that_was_moved_is_known_until_both_its_slots_are_closed() {
    check_desk(
        "sell S2 1kWh @ 4.00 slot 2
         buy B2 1kWh @ 4.00 slot 2
         uncross slot 2
         change 2 S2 to 1kWh slot 1
         accept %1
         close
         close slot 1
         change 2 S2 version 1 was-in 2 to 0kWh ref 2
         close slot 2
         change 2 S2 version 1 was-in 2 to 0kWh ref 2",
        &expect![[r#"
            accepted #3
            accepted #4
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S2#3 B2#4 1kWh @ 4.00
            continuous
            offered %1 S2 to B2 of 2: trade 2 1kWh to 1kWh moved -60 min
            amended %1 to version 2 (105 and 106): trade 2 1kWh to 1kWh moved -60 min
            closed
            closed
            rejected Offer stale_version
            closed
            rejected Offer gate_closed
        "#]],
    );
}

#[test]
fn what_a_platform_owes_follows() {
    check_desk(
        "credit limit 2 20.00
         change 1 B1 to 6kWh
         change 1 S1 to 6kWh
         accept %1
         withdraw %1
         change 1 S1 to 5kWh ref 2
         accept %2
         buy B2 10Wh @ 0.01
         change 1 B1 to 2kWh slot 1 ref 3
         accept %3
         buy B2 3.01kWh @ 4.00
         buy B2 3kWh @ 4.00
         release credit 2 7.00
         change 1 S1 to 0.24kWh ref 4
         accept %4
         change 1 B1 to 0.24kWh ref 5
         withdraw %4
         change 1 S1 to 1.75kWh ref 6
         accept %5
         release credit 2 0.01",
        &expect![[r#"
            platform 2 may owe 20.00
            rejected Offer credit_exceeded
            offered %1 S1 to B1 of 2: trade 1 4kWh to 6kWh
            rejected Accept credit_exceeded
            ended %1 withdrawn 106
            offered %2 S1 to B1 of 2: trade 1 4kWh to 5kWh
            amended %2 to version 2 (107 and 108): trade 1 4kWh to 5kWh
            rejected New credit_exceeded
            offered %3 B1 to S1 of 1: trade 1 5kWh to 2kWh moved 60 min
            amended %3 to version 3 (110 and 111): trade 1 5kWh to 2kWh moved 60 min
            rejected New credit_exceeded
            accepted #3
            platform 2 owes 7.00 less
            offered %4 S1 to B1 of 2: trade 1 2kWh to 0.24kWh
            rejected Accept invalid_credit
            rejected Offer amendment_open
            ended %4 withdrawn 117
            offered %5 S1 to B1 of 2: trade 1 2kWh to 1.75kWh
            amended %5 to version 4 (118 and 119): trade 1 2kWh to 1.75kWh
            refused invalid_credit
        "#]],
    );
}

#[test]
fn what_the_edge_should_have_seen_is_refused_and_takes_nothing() {
    check_desk(
        "change 1 S1 was 5kWh to 1kWh
         change 1 S1 was-in 1 to 1kWh
         change 1 S1 was 4294968kWh to 1kWh
         change 1 S1 with B2 to 1kWh",
        &expect![[r#"
            rejected Offer terms_differ
            rejected Offer terms_differ
            rejected Offer terms_differ
            offered %1 S1 to B2 of 2: trade 1 4kWh to 1kWh
        "#]],
    );
}

#[test]
fn trades_are_numbered_from_one_and_no_further() {
    let mut stage = Stage::large();
    stage.perform(DESK);
    stage.out.clear();
    for number in [0, 2, 1 << 48, u64::MAX] {
        let Command::OfferAmendment(mut request) = stage.parse("change 1 S1 to 1kWh") else {
            panic!()
        };
        request.terms.trade = types::TradeId::new(number);
        stage.apply(Command::OfferAmendment(request));
    }
    expect![[r#"
        rejected Offer unknown_trade
        rejected Offer unknown_trade
        rejected Offer unknown_trade
        rejected Offer unknown_trade
    "#]]
    .assert_eq(&stage.out);
}

#[test]
fn changes_of_negotiated_trades_and_limits() {
    check_large(
        "open
         open slot 1
         offer S1 to B1 2kWh @ 4.00
         accept %1
         change 1 B1 to 3kWh slot 1
         accept %2
         controls smallest 1kWh value 8.00
         change 1 B1 to 0.50kWh ref 2
         change 1 B1 to 2.50kWh ref 2
         change 1 B1 to 2kWh ref 2
         offer S1 to B1 1kWh @ 4.00 ref 9
         close
         accept %3
         close slot 1",
        &expect![[r#"
            call
            call
            offered %1 S1 to B1 of 2: sell 2kWh @ 4.00
            agreed %1 as trade 1 (101 and 102)
            trade S1#0 B1#0 2kWh @ 4.00
            offered %2 B1 to S1 of 1: trade 1 2kWh to 3kWh moved 60 min
            amended %2 to version 2 (103 and 104): trade 1 2kWh to 3kWh moved 60 min
            controls set
            rejected Offer quantity_below_minimum
            rejected Offer value_above_maximum
            offered %3 B1 to S1 of 1: trade 1 3kWh to 2kWh
            offered %4 S1 to B1 of 2: sell 1kWh @ 4.00
            ended %4 gate_closed 0
            closed
            amended %3 to version 3 (107 and 109): trade 1 3kWh to 2kWh
            closed
        "#]],
    );
}
