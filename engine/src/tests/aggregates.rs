//! Aggregate orders: lists of members, admission, shares of fills, and what ends them.

use expect_test::expect;
use sha2::{Digest as _, Sha256};
use types::{
    AggregateOrder, ClientOrderId, Command, Digest, Energy, Member, MembersPage, MeterId,
    NewAggregateOrder, Origin, PAGE_MEMBERS_MAX, PlatformId, SessionId, Side, Signature,
    members_listing,
};

use super::{
    check_after, script,
    stage::Stage,
    words::{self, Words},
};

/// Meter and quantity, as often as they follow each other.
fn members(words: &mut Words<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    while let Some(name) = words.last() {
        let wh = u32::try_from(words::energy(words.next()).wh()).unwrap();
        members.push(Member::new(MeterId::new(words::meter_number(name)), wh));
    }
    members
}

/// `list 7 S1 2kWh [page N] [by N]`.
pub(super) fn page(words: &mut Words<'_>) -> Command {
    let platform = PlatformId::new(words.number("by").unwrap_or(1));
    let page = words.number("page").unwrap_or(0);
    let client_order = ClientOrderId::new(words.next().parse().unwrap());
    let origin = Origin { platform, session: SessionId::new(1) };
    let listed = members(words);
    let mut members = [Member::default(); PAGE_MEMBERS_MAX];
    members[..listed.len()].copy_from_slice(&listed);
    Command::AggregateMembers(MembersPage { origin, client_order, page, members })
}

impl Stage {
    /// The pages of an aggregate order, then the order.
    pub(super) fn aggregate(&mut self, line: &str) {
        let mut words = Words::new(line);
        words.next();
        let side = if words.flag("buy") { Side::Buy } else { words.then("sell", Side::Sell) };
        let client_order = self.client_order(&mut words);
        let key = words.key();
        let valid_until = self.valid_until(&mut words);
        let (time_in_force, _) = self.conditions(&mut words);
        let platform = PlatformId::new(words.number("by").unwrap_or(1));
        let origin = Origin { platform, session: script::session(&mut words) };
        let is_unlisted = words.flag("unlisted");
        let count = words.number("members");
        let sum = words.option("sum").map(words::energy);
        let is_wrong = words.flag("wrong-hash");
        let limit = words::price(words.option("@").unwrap());
        let members = members(&mut words);
        let hash = Sha256::digest(members_listing(&members)).into();
        let order = AggregateOrder {
            client_order,
            key,
            side,
            time_in_force,
            limit,
            quantity: sum.unwrap_or_else(|| total(&members)),
            valid_until,
            members: count.unwrap_or_else(|| u16::try_from(members.len()).unwrap()),
            list: Digest::new(if is_wrong { [1; 32] } else { hash }),
        };
        if !is_unlisted {
            for page in MembersPage::of(origin, client_order, &members) {
                self.apply(Command::AggregateMembers(page));
            }
        }
        let signature = Signature::new([0; 64]);
        self.apply(Command::NewAggregateOrder(NewAggregateOrder { origin, order, signature }));
    }
}

fn total(members: &[Member]) -> Energy {
    Energy::from_wh(members.iter().map(|member| u64::from(member.wh())).sum())
}

/// Everybody who may be a member has delegated that to platform 1.
const DELEGATED: &str = "open
    uncross
    delegate S1 to 1 number 1
    delegate S2 to 1 number 1
    delegate S3 to 1 number 1
    delegate B1 to 1 number 1
    delegate B2 to 1 number 1
    delegate B3 to 1 number 1
    delegate S4 to 1 number 1
    delegate B4 to 1 number 1";

fn check_delegated(script: &str, expected: &expect_test::Expect) {
    check_after(DELEGATED, script, expected);
}

#[test]
fn t101_a_fill_is_shared_by_the_largest_remainder() {
    check_delegated(
        "aggregate sell @ 4.00 S1 2kWh S2 1kWh S3 0.5kWh
         depth
         buy B5 1kWh @ 4.00
         buy B5 1kWh @ 4.00
         buy B5 0.01kWh @ 4.00
         depth
         buy B5 3kWh @ 4.00
         cancel #1",
        &expect![[r#"
            listed 3 of 109
            accepted #1
            buy | sell 1x3.5kWh @ 4.00
            accepted #2
            trade S1#1 B5#2 0.57kWh @ 4.00 maker sell
            trade S2#1 B5#2 0.29kWh @ 4.00 maker sell
            trade S3#1 B5#2 0.14kWh @ 4.00 maker sell
            accepted #3
            trade S1#1 B5#3 0.57kWh @ 4.00 maker sell
            trade S2#1 B5#3 0.29kWh @ 4.00 maker sell
            trade S3#1 B5#3 0.14kWh @ 4.00 maker sell
            accepted #4
            trade S1#1 B5#4 0.01kWh @ 4.00 maker sell
            buy | sell 1x1.49kWh @ 4.00
            accepted #5
            trade S1#1 B5#5 0.85kWh @ 4.00 maker sell
            trade S2#1 B5#5 0.42kWh @ 4.00 maker sell
            trade S3#1 B5#5 0.22kWh @ 4.00 maker sell
            rejected Cancel unknown_order
        "#]],
    );
}

#[test]
fn an_order_that_enters_shares_what_a_price_fills_once() {
    check_delegated(
        "sell S5 0.3kWh @ 3.90
         sell B5 0.3kWh @ 3.90
         sell S6 1kWh @ 4.00
         aggregate buy @ 4.00 B1 1kWh B2 1kWh B3 1kWh
         depth
         aggregate sell @ 4.00 S1 0.7kWh S2 0.7kWh",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            listed 3 of 112
            accepted #4
            trade S5#1 B1#4 0.2kWh @ 3.90 maker sell
            trade S5#1 B2#4 0.1kWh @ 3.90 maker sell
            trade B5#2 B2#4 0.1kWh @ 3.90 maker sell
            trade B5#2 B3#4 0.2kWh @ 3.90 maker sell
            trade S6#3 B1#4 0.34kWh @ 4.00 maker sell
            trade S6#3 B2#4 0.33kWh @ 4.00 maker sell
            trade S6#3 B3#4 0.33kWh @ 4.00 maker sell
            buy 1x1.4kWh @ 4.00 | sell
            listed 2 of 113
            accepted #5
            trade S1#5 B1#4 0.46kWh @ 4.00 maker buy
            trade S1#5 B2#4 0.24kWh @ 4.00 maker buy
            trade S2#5 B2#4 0.23kWh @ 4.00 maker buy
            trade S2#5 B3#4 0.47kWh @ 4.00 maker buy
        "#]],
    );
}

#[test]
fn t98_the_list_must_be_the_one_that_is_signed() {
    check_delegated(
        "aggregate sell @ 4.00 S1 1kWh S2 1kWh wrong-hash as 7
         aggregate sell @ 4.00 S1 1kWh S2 1kWh members 3 unlisted as 7
         aggregate sell @ 4.00 S1 1kWh S2 1kWh sum 3kWh unlisted as 7
         aggregate sell @ 4.00 S1 1kWh S2 1.01kWh unlisted as 7
         aggregate sell @ 4.00 S1 1kWh S2 1kWh unlisted as 7 by 2
         aggregate sell @ 4.00 S1 1kWh S2 1kWh unlisted as 8
         aggregate sell @ 4.00 S1 1kWh S2 1kWh unlisted as 7
         aggregate sell @ 4.00 S1 1kWh S2 1kWh unlisted as 7
         aggregate sell @ 4.01 S1 1kWh S2 1kWh as 7
         sell S1 2kWh @ 4.00 as 7",
        &expect![[r#"
            listed 2 of 7
            rejected New members_differ
            rejected New members_differ
            rejected New members_differ
            rejected New members_differ
            rejected New members_differ
            rejected New members_differ
            accepted #1
            restated #1 filled 0kWh leaves 2kWh
            listed 2 of 7
            rejected New duplicate_client_order
            rejected New duplicate_client_order
        "#]],
    );
}

#[test]
fn pages_come_in_their_turn_and_rise() {
    check_delegated(
        "list 7 S1 1kWh page 1
         list 7 S2 1kWh S1 1kWh
         list 7 S1 1kWh S1 1kWh
         list 7 S1 1kWh B9 0Wh S2 1kWh
         list 7
         list 7 S1 1kWh
         list 7 S1 1kWh page 1
         list 7 S2 1kWh page 2
         list 7 S2 1kWh page 1
         list 7 S2 1kWh page 1
         list 7 S3 1kWh page 1
         list 7 S3 1kWh page 2
         aggregate sell @ 4.00 S1 1kWh S2 1kWh S3 1kWh unlisted as 7
         list 7 S2 1kWh page 3",
        &expect![[r#"
            rejected ListMembers members_out_of_turn
            rejected ListMembers members_invalid
            rejected ListMembers members_invalid
            rejected ListMembers members_invalid
            rejected ListMembers members_invalid
            listed 1 of 7
            rejected ListMembers members_invalid
            rejected ListMembers members_out_of_turn
            listed 2 of 7
            listed 2 of 7
            rejected ListMembers members_out_of_turn
            listed 3 of 7
            accepted #1
            rejected ListMembers members_out_of_turn
        "#]],
    );
}

#[test]
fn a_platform_has_two_lists_that_wait() {
    check_delegated(
        "list 1 S1 1kWh
         list 2 S1 1kWh
         list 2 by 2 B1 1kWh
         list 3 S1 1kWh
         list 1 S2 1kWh page 1
         aggregate sell @ 4.00 S1 1kWh unlisted as 1
         aggregate sell @ 4.00 S1 1kWh unlisted as 2
         list 4 S1 1kWh
         list 3 S2 1kWh page 1",
        &expect![[r#"
            listed 1 of 1
            listed 1 of 2
            listed 1 of 2
            listed 1 of 3
            rejected ListMembers members_out_of_turn
            rejected New members_differ
            accepted #1
            listed 1 of 4
            listed 2 of 3
        "#]],
    );
}

#[test]
fn t99_each_member_is_checked_as_an_order_would_be() {
    check_delegated(
        "aggregate sell @ 4.00 S1 1kWh S5 1kWh
         delegate S5 to 2 number 1
         aggregate sell @ 4.00 S1 1kWh S5 1kWh
         delegate S5 to 1 number 2 sell most 1kWh takes 4.00
         aggregate sell @ 4.00 S1 1kWh S5 1.01kWh
         aggregate sell @ 3.99 S1 1kWh S5 1kWh
         aggregate buy @ 3.99 S1 1kWh S5 1kWh
         aggregate sell @ 4.00 S1 1kWh S30 1kWh
         aggregate sell @ 4.00 S1 1.001kWh S2 1kWh
         aggregate sell @ 4.00 S1 12.01kWh S2 1kWh
         suspend meter S2
         aggregate sell @ 4.00 S1 1kWh S2 1kWh
         resume meter S2
         sell S2 11kWh @ 5.00
         aggregate sell @ 4.00 S1 1kWh S2 9.01kWh
         aggregate sell @ 4.00 S1 12kWh S2 9kWh",
        &expect![[r#"
            listed 2 of 109
            for S5:
            rejected New delegation_missing
            meter 9 delegates to 2
            listed 2 of 111
            for S5:
            rejected New delegation_missing
            meter 9 delegates to 1
            listed 2 of 113
            for S5:
            rejected New delegation_exceeded
            listed 2 of 114
            for S5:
            rejected New delegation_exceeded
            listed 2 of 115
            for S5:
            rejected New delegation_exceeded
            listed 2 of 116
            for S30:
            rejected New unknown_meter
            listed 2 of 117
            for S1:
            rejected New quantity_not_on_lot
            listed 2 of 118
            for S1:
            rejected New quantity_above_maximum
            meter S2 suspended
            listed 2 of 119
            for S2:
            rejected New trading_suspended
            meter S2 active
            accepted #1
            listed 2 of 121
            for S2:
            rejected New capacity_exceeded
            listed 2 of 122
            accepted #2
        "#]],
    );
}

#[test]
fn value_and_executions_count_for_each_member_the_smallest_quantity_for_all() {
    check_delegated(
        "controls value 4.00
         aggregate sell @ 4.00 S3 1kWh B3 1.01kWh
         aggregate sell @ 4.00 S3 1kWh B3 1kWh
         controls smallest 1kWh executions 1
         aggregate sell @ 1.00 S4 0.5kWh B4 0.49kWh
         aggregate sell @ 1.00 S4 0.5kWh B4 0.5kWh",
        &expect![[r#"
            controls set
            listed 2 of 109
            for B3:
            rejected New value_above_maximum
            listed 2 of 110
            accepted #1
            controls set
            listed 2 of 111
            rejected New quantity_below_minimum
            listed 2 of 112
            accepted #2
        "#]],
    );
}

#[test]
fn t103_what_an_aggregate_order_cannot_be() {
    check_delegated(
        "aggregate sell @ 4.00 S1 1kWh fok
         aggregate sell @ 4.00 S1 1kWh until now-9
         aggregate sell @ 4.005 S1 1kWh
         aggregate sell @ 99 S1 1kWh
         aggregate sell @ 4.00 S1 1kWh slot 3
         aggregate sell @ 4.00 S1 1kWh S2 1kWh until-time epoch until now+30s
         reduce #1 1kWh
         hibernate #1
         activate #1
         replace #1 S1 1kWh @ 4.00 by 1
         cancel #1 by 2
         at now+31s
         pass time",
        &expect![[r#"
            listed 1 of 109
            rejected New not_for_aggregates
            listed 1 of 110
            rejected New signature_expired
            listed 1 of 111
            rejected New price_not_on_tick
            listed 1 of 112
            rejected New price_outside_band
            listed 1 of 113
            rejected New slot_not_open
            listed 2 of 114
            accepted #1
            rejected Reduce not_for_aggregates
            rejected Hibernate not_for_aggregates
            rejected Activate not_for_aggregates
            rejected Replace not_for_aggregates
            rejected Cancel not_authorised
            cancelled #1 2kWh Expired 114
        "#]],
    );
}

#[test]
fn capacity_is_each_members_own() {
    check_delegated(
        "aggregate sell @ 4.00 S1 12kWh S2 1kWh
         sell S1 8.01kWh @ 5.00
         sell S1 8kWh @ 5.00
         buy B5 6.5kWh @ 4.00
         sell S1 0.01kWh @ 5.00
         cancel #1
         sell S1 6kWh @ 5.00
         sell S1 0.01kWh @ 5.00",
        &expect![[r#"
            listed 2 of 109
            accepted #1
            rejected New capacity_exceeded
            accepted #2
            accepted #3
            trade S1#1 B5#3 6kWh @ 4.00 maker sell
            trade S2#1 B5#3 0.5kWh @ 4.00 maker sell
            rejected New capacity_exceeded
            cancelled #1 6.5kWh Requested 114
            accepted #4
            rejected New capacity_exceeded
        "#]],
    );
}

#[test]
fn t100_a_member_has_nothing_on_the_other_side() {
    check_delegated(
        "sell S1 1kWh @ 5.00
         aggregate buy @ 3.00 S1 1kWh S2 1kWh
         cancel #1
         aggregate buy @ 3.00 S1 1kWh S2 1kWh
         sell S2 1kWh @ 5.00
         buy S2 1kWh @ 2.00
         aggregate sell @ 5.00 S2 1kWh S3 1kWh
         sell S3 2kWh @ 3.00
         sell S2 1kWh @ 5.00",
        &expect![[r#"
            accepted #1
            listed 2 of 110
            for S1:
            rejected New aggregate_self_trade
            cancelled #1 1kWh Requested 111
            listed 2 of 112
            accepted #2
            rejected New aggregate_self_trade
            accepted #3
            listed 2 of 115
            for S2:
            rejected New aggregate_self_trade
            accepted #4
            trade S3#4 S1#2 1kWh @ 3.00 maker buy
            trade S3#4 S2#2 1kWh @ 3.00 maker buy
            accepted #5
        "#]],
    );
}

#[test]
fn owners_count_where_the_market_says_so() {
    check_delegated(
        "controls scope owner self-trade cancel_taker
         aggregate buy @ 3.00 S4 1kWh S1 1kWh as 7
         aggregate buy @ 3.00 S1 1kWh S4 1kWh
         sell B4 1kWh @ 5.00
         aggregate sell @ 5.00 B4 1kWh
         cancel #1
         sell B4 1kWh @ 5.00
         controls self-trade allow
         aggregate buy @ 5.00 S4 1kWh B4 0.5kWh",
        &expect![[r#"
            controls set
            rejected ListMembers members_invalid
            rejected New members_differ
            listed 2 of 110
            accepted #1
            rejected New aggregate_self_trade
            listed 1 of 112
            for B4:
            rejected New aggregate_self_trade
            cancelled #1 2kWh Requested 113
            accepted #2
            controls set
            listed 2 of 115
            accepted #3
            trade B4#2 S4#3 0.67kWh @ 5.00 maker sell
            trade B4#2 B4#3 0.33kWh @ 5.00 maker sell
        "#]],
    );
}

#[test]
fn immediate_or_cancel_and_credit() {
    check_delegated(
        "credit limit 1 8.00
         sell S5 1kWh @ 4.00 by 1
         aggregate buy @ 4.00 B1 1kWh B2 1.01kWh ioc
         aggregate buy @ 4.00 B1 1kWh B2 1kWh ioc
         aggregate buy @ 4.00 B1 0.5kWh B2 0.5kWh
         buy B5 0.01kWh @ 4.00 by 1 delegated
         aggregate buy @ 0.01 B1 0.5kWh B2 0.5kWh",
        &expect![[r#"
            platform 1 may owe 8.00
            accepted #1
            listed 2 of 110
            rejected New credit_exceeded
            listed 2 of 111
            accepted #2
            trade S5#1 B1#2 0.5kWh @ 4.00 maker sell
            trade S5#1 B2#2 0.5kWh @ 4.00 maker sell
            cancelled #2 1kWh ImmediateOrCancel 111
            listed 2 of 112
            accepted #3
            rejected New delegation_missing
            listed 2 of 114
            rejected New credit_exceeded
        "#]],
    );
}

#[test]
fn an_auction_shares_what_each_order_gets() {
    check_delegated(
        "open slot 1
         aggregate buy @ 4.10 B1 1kWh B2 2kWh slot 1
         aggregate sell @ 4.00 S1 1kWh S2 1kWh S3 1.5kWh slot 1
         buy B5 0.3kWh @ 4.10 slot 1
         sell S5 0.4kWh @ 3.90 slot 1
         sell S1 1kWh @ 4.00 slot 1
         buy S2 1kWh @ 4.00 slot 1
         indicative slot 1
         uncross slot 1
         depth slot 1",
        &expect![[r#"
            call
            listed 2 of 109
            accepted #1
            listed 3 of 110
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            rejected New aggregate_self_trade
            indicative 4.00 3.3kWh surplus -1600
            uncrossed 4.00 3.3kWh surplus -1600 of 2
            trade S5#4 B1#1 0.4kWh @ 4.00
            trade S1#2 B1#1 0.6kWh @ 4.00
            trade S1#2 B2#1 0.23kWh @ 4.00
            trade S2#2 B2#1 0.83kWh @ 4.00
            trade S3#2 B2#1 0.94kWh @ 4.00
            trade S3#2 B5#3 0.3kWh @ 4.00
            continuous
            buy | sell 2x1.6kWh @ 4.00
        "#]],
    );
}

#[test]
fn t102_what_ends_one_member_ends_the_order() {
    check_delegated(
        "aggregate sell @ 4.00 S1 1kWh S2 1kWh
         aggregate sell @ 4.00 S3 1kWh B3 1kWh
         sell S5 1kWh @ 4.00
         mass cancel meter S2
         mass cancel meter S2 by 2
         kill retailer 2
         kill meter B3
         aggregate sell @ 4.00 S1 1kWh B1 1kWh
         mass cancel platform 1 by 1
         aggregate sell @ 4.00 S1 1kWh B1 1kWh
         close",
        &expect![[r#"
            listed 2 of 109
            accepted #1
            listed 2 of 110
            accepted #2
            accepted #3
            cancelled #1 2kWh MassCancel 109
            cancelled 1 of meter S2 for the operator
            cancelled 0 of meter S2 for platform 2 as 113
            retailer 2 killed
            cancelled 0 of retailer 2 for the operator
            meter B3 killed
            cancelled #2 2kWh Killed 110
            cancelled 1 of meter B3 for the operator
            listed 2 of 114
            accepted #4
            cancelled #3 1kWh MassCancel 111
            cancelled #4 2kWh MassCancel 114
            cancelled 2 of platform 1 for platform 1 as 115
            listed 2 of 116
            accepted #5
            cancelled #5 2kWh GateClosed 116
            closed
        "#]],
    );
}

#[test]
fn orders_with_a_need_and_icebergs_meet_it() {
    check_delegated(
        "sell S5 1kWh @ 4.00 minimum 0.8kWh
         sell S6 2kWh @ 4.00 showing 0.5kWh
         aggregate buy @ 4.00 B1 0.3kWh B2 0.4kWh
         aggregate buy @ 4.00 B1 1.2kWh B2 0.6kWh
         depth
         buy B5 2kWh @ 3.50 minimum 1kWh
         aggregate sell @ 3.50 S1 0.5kWh S2 0.45kWh
         depth
         aggregate sell @ 3.60 S3 0.5kWh
         buy B6 1.4kWh @ 3.60 fok
         buy B6 1.45kWh @ 3.60 fok",
        &expect![[r#"
            accepted #1
            accepted #2
            listed 2 of 111
            accepted #3
            trade S6#2 B1#3 0.3kWh @ 4.00 maker sell
            trade S6#2 B2#3 0.2kWh @ 4.00 maker sell
            trade S6#2 B2#3 0.2kWh @ 4.00 maker sell
            listed 2 of 112
            accepted #4
            trade S5#1 B1#4 1kWh @ 4.00 maker sell
            trade S6#2 B1#4 0.2kWh @ 4.00 maker sell
            trade S6#2 B2#4 0.1kWh @ 4.00 maker sell
            trade S6#2 B2#4 0.5kWh @ 4.00 maker sell
            buy | sell 1x0.5kWh @ 4.00
            accepted #5
            listed 2 of 114
            accepted #6
            buy 1x2kWh @ 3.50 | sell 1x0.95kWh @ 3.50 1x0.5kWh @ 4.00
            listed 1 of 115
            accepted #7
            accepted #8
            trade S1#6 B6#8 0.5kWh @ 3.50 maker sell
            trade S2#6 B6#8 0.45kWh @ 3.50 maker sell
            trade S3#7 B6#8 0.45kWh @ 3.60 maker sell
            accepted #9
            cancelled #9 1.45kWh FillOrKill 117
        "#]],
    );
}

#[test]
fn a_dynamic_band_stops_it() {
    check_delegated(
        "controls band 0.10
         sell S5 0.5kWh @ 4.00
         sell S6 1kWh @ 4.20
         buy B6 0.1kWh @ 4.00
         aggregate buy @ 4.20 B1 0.5kWh B2 0.5kWh
         show phase",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            trade S5#1 B6#3 0.1kWh @ 4.00 maker sell
            listed 2 of 112
            accepted #4
            trade S5#1 B1#4 0.2kWh @ 4.00 maker sell
            trade S5#1 B2#4 0.2kWh @ 4.00 maker sell
            call
            call
        "#]],
    );
}

#[test]
fn the_members_of_a_book_are_limited() {
    check_delegated(
        "aggregate sell @ 4.00 S1 1kWh S2 1kWh S3 1kWh B1 1kWh B2 1kWh as 7
         aggregate sell @ 4.00 S1 1kWh B1 1kWh S2 1kWh B2 1kWh S3 1kWh as 7
         sell S5 1kWh @ 5.00
         aggregate sell @ 4.00 B3 1kWh S4 1kWh B4 1kWh
         aggregate sell @ 4.00 B3 1kWh S4 1kWh B4 1kWh
         aggregate sell @ 4.00 B3 1kWh S4 1kWh",
        &expect![[r#"
            rejected ListMembers members_invalid
            rejected New members_differ
            listed 5 of 7
            accepted #1
            accepted #2
            listed 3 of 112
            accepted #3
            listed 3 of 113
            rejected New order_limit_reached
            listed 2 of 114
            rejected New order_limit_reached
        "#]],
    );
}
