//! Negotiated trades: who may offer and accept what, what it takes of the meters, and how offers end.

use expect_test::expect;
use types::{
    AcceptAmendment, AcceptContract, AmendmentOffered, AmendmentTerms, Command, ContractAmended,
    ContractOffered, ContractTerms, Energy, Event, FIRST_VERSION, MeterId, OfferContract, OfferId,
    OfferRequest, OfferTerms, Origin, PlatformId, SessionId, Side, Signature, Timestamp,
};

use super::{
    check, check_call, check_continuous, check_large,
    script::serving,
    stage::{Offered, Stage},
    words::{self, Words},
};

/// Lines of a script about contracts.
impl Stage {
    pub(super) fn offer(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let (key, expires) = (words.key(), self.valid_until(words));
        let reference = words.option("ref").map_or(1, |word| word.parse().unwrap());
        let own = words::meter_number(words.next());
        let offered_by = match words.next() {
            "to" => Side::Sell,
            "from" => Side::Buy,
            other => panic!("`{other}` is not a side"),
        };
        let other = words::meter_number(words.next());
        let origin = Origin { platform: serving(words, own), session: SessionId::new(1) };
        let (own, other) = (MeterId::new(own), MeterId::new(other));
        let (buyer, seller) = if offered_by == Side::Buy { (own, other) } else { (other, own) };
        let quantity = words::energy(words.next());
        assert_eq!(words.next(), "@");
        let price = words::price(words.next());
        let terms = ContractTerms { key, buyer, seller, price, quantity, reference, expires };
        let signature = Signature::new([7; 64]);
        Command::OfferContract(OfferContract { origin, client_order, terms, offered_by, signature })
    }

    /// The number of an offer and, if it was made, which of them it is.
    fn offer_number(words: &mut Words<'_>) -> (OfferId, usize) {
        let number = words.next().strip_prefix('%').unwrap().parse::<u64>().unwrap();
        let index = usize::try_from(number.wrapping_sub(1) & ((1 << 48) - 1)).unwrap();
        (OfferId::new(number), index)
    }

    pub(super) fn accept(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let same_side = words.flag("same") && words.flag("side");
        let but = words.option("but").map(words::energy);
        let (offer, index) = Self::offer_number(words);
        let offered = self.offered.get(index).or(self.offered.last()).unwrap();
        let accepted_by =
            if same_side { offered.offered_by } else { offered.offered_by.opposite() };
        let platform = words.number("by").map_or(offered.invited, PlatformId::new);
        let origin = Origin { platform, session: SessionId::new(1) };
        let signature = Signature::new([8; 64]);
        match offered.terms {
            OfferTerms::Contract(mut terms) => {
                terms.quantity = but.unwrap_or(terms.quantity);
                Command::AcceptContract(AcceptContract {
                    origin,
                    client_order,
                    offer,
                    terms,
                    accepted_by,
                    signature,
                })
            }
            OfferTerms::Amendment(mut terms) => {
                terms.new_quantity = but.unwrap_or(terms.new_quantity);
                Command::AcceptAmendment(AcceptAmendment {
                    origin,
                    client_order,
                    offer,
                    terms,
                    accepted_by,
                    signature,
                })
            }
        }
    }

    pub(super) fn offer_request(&mut self, words: &mut Words<'_>, own: bool) -> OfferRequest {
        let client_order = self.client_order(words);
        let (offer, index) = Self::offer_number(words);
        let known = self.offered.get(index);
        let its =
            known.map_or(
                PlatformId::new(1),
                |offered| {
                    if own { offered.offerer } else { offered.invited }
                },
            );
        let platform = words.number("by").map_or(its, PlatformId::new);
        OfferRequest {
            origin: Origin { platform, session: SessionId::new(1) },
            client_order,
            offer,
        }
    }

    /// Learns what is offered and how trades stand.
    pub(super) fn note_contracts(&mut self, event: &Event) {
        if let Event::ContractOffered(offered) = event {
            let ContractOffered { origin, terms, offered_by, invited, .. } = *offered;
            let (terms, offerer) = (OfferTerms::Contract(terms), origin.platform);
            self.offered.push(Offered { terms, offered_by, offerer, invited });
        } else if let Event::AmendmentOffered(offered) = event {
            let AmendmentOffered { origin, terms, offered_by, invited, .. } = *offered;
            let (terms, offerer) = (OfferTerms::Amendment(terms), origin.platform);
            self.offered.push(Offered { terms, offered_by, offerer, invited });
        } else if let Event::Trade(trade) = event {
            self.traded.push(AmendmentTerms {
                trade: trade.trade,
                version: FIRST_VERSION,
                key: trade.key,
                buyer: trade.buy.meter,
                seller: trade.sell.meter,
                price: trade.price,
                quantity: trade.quantity,
                new_slot: trade.key.slot,
                new_quantity: trade.quantity,
                reference: 0,
                expires: Timestamp::from_ns(0),
            });
        } else if let Event::ContractAmended(ContractAmended { terms, .. }) = event {
            let known = self.traded.iter_mut().find(|known| known.trade == terms.trade).unwrap();
            known.version = terms.new_version();
            known.key = terms.new_key();
            known.new_slot = terms.new_slot;
            known.quantity = terms.new_quantity;
        } else if let Event::TradeBusted(busted) = event {
            let known = self.traded.iter_mut().find(|known| known.trade == busted.trade).unwrap();
            known.version += 1;
            known.quantity = Energy::ZERO;
        }
    }
}

#[test]
fn t104_an_offer_that_is_accepted_is_a_trade_and_no_price_of_the_book() {
    check_continuous(
        "offer S1 to B1 2kWh @ 4.00 as 7
         show price
         accept %1 as 9
         show price
         offer B1 from S1 1kWh @ 4.10 ref 2
         accept %2
         depth",
        &expect![[r#"
            offered %1 S1 to B1 of 2: sell 2kWh @ 4.00
            none
            agreed %1 as trade 1 (7 and 9)
            trade S1#0 B1#0 2kWh @ 4.00
            none
            offered %2 B1 to S1 of 1: buy 1kWh @ 4.10
            agreed %2 as trade 2 (103 and 104)
            trade S1#0 B1#0 1kWh @ 4.10
            buy | sell
        "#]],
    );
}

#[test]
fn t105_contracts_are_made_in_every_phase_until_the_gate() {
    check_large(
        "offer S1 to B1 1kWh @ 4.00
         controls freeze 10 30
         open
         offer S1 to B1 1kWh @ 4.00
         accept %1
         freeze
         offer S1 to B1 1kWh @ 4.00 ref 2
         accept %2
         at gate
         offer S1 to B1 1kWh @ 4.00 ref 3
         at gate+1
         accept %3
         offer S1 to B1 1kWh @ 4.00 ref 4
         decline %3
         close
         decline %3
         offer S1 to B1 1kWh @ 4.00 ref 3",
        &expect![[r#"
            rejected Offer slot_not_open
            controls set
            call
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            agreed %1 as trade 1 (102 and 103)
            trade S1#0 B1#0 1kWh @ 4.00
            frozen
            due now+10s
            offered %2 S1 to B1 of 2: sell 1kWh @ 4.00
            agreed %2 as trade 2 (104 and 105)
            trade S1#0 B1#0 1kWh @ 4.00
            offered %3 S1 to B1 of 2: sell 1kWh @ 4.00
            rejected Accept gate_closed
            rejected Offer gate_closed
            ended %3 declined 109
            closed
            rejected Decline unknown_offer
            rejected Offer gate_closed
        "#]],
    );
}

#[test]
fn what_is_wrong_with_an_offer_is_said_in_this_order() {
    check_call(
        "offer S9 to B1 1kWh @ 4.00
         offer S1 to B9 1kWh @ 4.00 by 2
         offer S1 to B1 0.005kWh @ 4.00 until now-1 by 2
         offer S1 to B1 0.005kWh @ 4.00 until now
         offer S1 to B1 0.005kWh @ 4.00 of 7
         offer S1 to B1 0.005kWh @ 4.00 misaligned
         offer S1 to B1 0.005kWh @ 4.00 slot 40
         offer S1 to B1 0.005kWh @ 40.00
         offer S1 to B1 13kWh @ 40.00
         offer S1 to B1 12kWh @ 40.00
         offer S1 to B1 12kWh @ 4.005
         offer S1 to S1 12kWh @ 4.00
         offer B1 from S1 12kWh @ 4.00
         offer B1 from S1 10kWh @ 4.00
         offer B1 from S1 12kWh @ 4.00
         offer S1 to B1 10kWh @ 4.00",
        &expect![[r#"
            rejected Offer unknown_meter
            rejected Offer unknown_meter
            rejected Offer not_authorised
            rejected Offer signature_expired
            rejected Offer unknown_market
            rejected Offer slot_misaligned
            rejected Offer slot_not_open
            rejected Offer quantity_not_on_lot
            rejected Offer quantity_above_maximum
            rejected Offer price_outside_band
            rejected Offer price_not_on_tick
            rejected Offer same_party
            rejected Offer capacity_exceeded
            offered %1 B1 to S1 of 1: buy 10kWh @ 4.00
            rejected Offer reference_taken
            rejected Offer reference_taken
        "#]],
    );
}

#[test]
fn t106_an_offer_is_checked_for_its_sender_and_its_acceptance_for_both() {
    check_call(
        "buy B1 9kWh @ 1.00
         offer S1 to B1 2kWh @ 4.00
         accept %1
         cancel #1
         accept %1
         buy B1 8.01kWh @ 1.00
         buy B1 8kWh @ 1.00
         offer B1 from S2 0.01kWh @ 1.00",
        &expect![[r#"
            accepted #1
            offered %1 S1 to B1 of 2: sell 2kWh @ 4.00
            rejected Accept capacity_exceeded
            cancelled #1 9kWh Requested 104
            agreed %1 as trade 1 (102 and 105)
            trade S1#0 B1#0 2kWh @ 4.00
            rejected New capacity_exceeded
            accepted #2
            rejected Offer capacity_exceeded
        "#]],
    );
}

#[test]
fn credit_and_executions_count_contracts_like_other_trades() {
    check_call(
        "controls executions 1
         credit limit 2 10.00
         offer S1 to B1 2kWh @ 4.00
         offer S2 to B2 1kWh @ 4.00
         accept %1
         accept %2
         offer S1 to B2 0.01kWh @ 1.00 ref 5
         release credit 2 8.00
         accept %2
         controls
         credit limit 1 1.00
         offer S1 to B2 1kWh @ -1.00 ref 5
         accept %3
         offer S1 to B2 1kWh @ -0.01 ref 6",
        &expect![[r#"
            controls set
            platform 2 may owe 10.00
            offered %1 S1 to B1 of 2: sell 2kWh @ 4.00
            offered %2 S2 to B2 of 2: sell 1kWh @ 4.00
            agreed %1 as trade 1 (101 and 103)
            trade S1#0 B1#0 2kWh @ 4.00
            rejected Accept credit_exceeded
            rejected Offer execution_limit_reached
            platform 2 owes 8.00 less
            agreed %2 as trade 2 (102 and 106)
            trade S2#0 B2#0 1kWh @ 4.00
            controls set
            platform 1 may owe 1.00
            offered %3 S1 to B2 of 2: sell 1kWh @ -1.00
            agreed %3 as trade 3 (107 and 108)
            trade S1#0 B2#0 1kWh @ -1.00
            rejected Offer credit_exceeded
        "#]],
    );
}

#[test]
fn a_market_sets_smallest_and_dearest_for_contracts_too() {
    check_call(
        "controls smallest 1kWh value 4.00
         offer S1 to B1 0.5kWh @ 4.00
         offer S1 to B1 1kWh @ 4.01
         offer S1 to B1 1kWh @ 4.00
         controls smallest 2kWh
         accept %1",
        &expect![[r#"
            controls set
            rejected Offer quantity_below_minimum
            rejected Offer value_above_maximum
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            controls set
            rejected Accept quantity_below_minimum
        "#]],
    );
}

#[test]
fn t107_one_meter_or_one_owner_makes_no_contract_with_itself() {
    check_call(
        "controls self-trade cancel_taker scope owner
         offer S4 to B4 1kWh @ 4.00
         offer S4 to B5 1kWh @ 4.00
         controls self-trade allow scope owner
         offer S4 to B4 1kWh @ 4.00
         offer S4 to S4 1kWh @ 4.00
         controls self-trade cancel_taker scope owner
         accept %2
         accept %1",
        &expect![[r#"
            controls set
            rejected Offer same_party
            offered %1 S4 to B5 of 2: sell 1kWh @ 4.00
            controls set
            offered %2 S4 to B4 of 2: sell 1kWh @ 4.00
            rejected Offer same_party
            controls set
            rejected Accept same_party
            agreed %1 as trade 1 (102 and 106)
            trade S4#0 B5#0 1kWh @ 4.00
        "#]],
    );
}

#[test]
fn t108_only_the_other_side_accepts_what_was_offered() {
    check_call(
        "offer S1 to B1 1kWh @ 4.00
         accept %1 by 1
         accept %1 same side
         accept %1 but 2kWh
         accept %9
         accept %0
         accept %1
         accept %1
         accept %1 but 2kWh
         offer S1 to B1 1kWh @ 4.00
         offer S1 to B1 2kWh @ 4.00
         offer B1 from S1 1kWh @ 4.00",
        &expect![[r#"
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            rejected Accept not_authorised
            rejected Accept not_authorised
            rejected Accept terms_differ
            rejected Accept unknown_offer
            rejected Accept unknown_offer
            agreed %1 as trade 1 (101 and 107)
            trade S1#0 B1#0 1kWh @ 4.00
            restated %1 agreed trade 1 to the buy
            rejected Accept terms_differ
            restated %1 agreed trade 1 to the sell
            rejected Offer reference_taken
            rejected Offer reference_taken
        "#]],
    );
}

#[test]
fn t109_offers_are_declined_by_one_side_and_withdrawn_by_the_other() {
    check_call(
        "offer S1 to B1 1kWh @ 4.00
         decline %1 by 1
         withdraw %1 by 2
         decline %1
         decline %1
         withdraw %1
         accept %1
         offer S1 to B1 1kWh @ 4.00
         offer S1 to B1 1kWh @ 4.00 ref 2
         withdraw %2
         withdraw %2
         offer S1 to B1 1kWh @ 4.00 ref 2
         withdraw %7
         offer S1 to B1 1kWh @ 4.00 ref 3
         accept %3
         withdraw %3
         decline %3",
        &expect![[r#"
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            rejected Decline not_authorised
            rejected Withdraw not_authorised
            ended %1 declined 104
            rejected Decline unknown_offer
            rejected Withdraw unknown_offer
            rejected Accept unknown_offer
            restated %1 declined trade 0 to the sell
            offered %2 S1 to B1 of 2: sell 1kWh @ 4.00
            ended %2 withdrawn 110
            rejected Withdraw unknown_offer
            restated %2 withdrawn trade 0 to the sell
            rejected Withdraw unknown_offer
            offered %3 S1 to B1 of 2: sell 1kWh @ 4.00
            agreed %3 as trade 1 (114 and 115)
            trade S1#0 B1#0 1kWh @ 4.00
            rejected Withdraw unknown_offer
            rejected Decline unknown_offer
        "#]],
    );
}

#[test]
fn t110_an_offer_expires_after_its_last_instant_and_is_forgotten() {
    check_call(
        "offer S1 to B1 1kWh @ 4.00 until gate-10s
         offer S1 to B1 1kWh @ 4.00 ref 2 until gate-9s
         decline %2
         at gate-11s
         show expiry
         offer S1 to B1 3kWh @ 4.00 ref 3 until gate-10s
         at gate-10s
         accept %1
         at gate-9s
         accept %3
         show expiry
         offer S1 to B1 1kWh @ 4.00 until gate-10s
         offer S1 to B1 1kWh @ 4.00 ref 2 until gate-9s
         at gate-8s
         pass time
         show expiry
         offer S1 to B1 1kWh @ 4.00 ref 2 until gate-9s
         offer S1 to B1 2kWh @ 4.00 ref 2",
        &expect![[r#"
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            offered %2 S1 to B1 of 2: sell 1kWh @ 4.00
            ended %2 declined 103
            now+50389999999972
            offered %3 S1 to B1 of 2: sell 3kWh @ 4.00
            agreed %1 as trade 1 (101 and 105)
            trade S1#0 B1#0 1kWh @ 4.00
            ended %3 expired 0
            rejected Accept unknown_offer
            now+0s
            restated %1 agreed trade 1 to the sell
            rejected Offer signature_expired
            none
            rejected Offer signature_expired
            offered %4 S1 to B1 of 2: sell 2kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_kill_ends_offers_and_a_suspension_stops_them() {
    check_call(
        "offer S1 to B1 1kWh @ 4.00
         offer S2 to B2 1kWh @ 4.00
         offer B6 from S3 1kWh @ 4.00
         suspend meter B1
         accept %1
         offer B1 from S1 1kWh @ 4.00 ref 9
         decline %1
         resume meter B1
         kill meter S2
         accept %2
         kill retailer 2
         suspend everyone
         offer S2 to B2 1kWh @ 4.00 ref 3
         withdraw %3",
        &expect![[r#"
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            offered %2 S2 to B2 of 2: sell 1kWh @ 4.00
            offered %3 B6 to S3 of 1: buy 1kWh @ 4.00
            meter B1 suspended
            rejected Accept trading_suspended
            rejected Offer trading_suspended
            ended %1 declined 106
            meter B1 active
            meter S2 killed
            ended %2 killed 0
            cancelled 0 of meter S2 for the operator
            rejected Accept unknown_offer
            retailer 2 killed
            ended %3 killed 0
            cancelled 0 of retailer 2 for the operator
            everyone suspended
            rejected Offer trading_suspended
            rejected Withdraw unknown_offer
        "#]],
    );
}

#[test]
fn a_slot_that_closes_ends_its_offers_by_number_and_no_others() {
    check_large(
        "open
         open slot 1
         offer S2 to B1 1kWh @ 4.00
         offer S1 to B1 1kWh @ 4.00
         offer S1 to B1 1kWh @ 4.00 slot 1
         sell S3 1kWh @ 4.00
         offer S1 to B2 1kWh @ 4.00
         accept %4
         close
         accept %3",
        &expect![[r#"
            call
            call
            offered %1 S2 to B1 of 2: sell 1kWh @ 4.00
            offered %2 S1 to B1 of 2: sell 1kWh @ 4.00
            offered %3 S1 to B1 of 2: sell 1kWh @ 4.00
            accepted #1
            offered %4 S1 to B2 of 2: sell 1kWh @ 4.00
            agreed %4 as trade 1 (105 and 106)
            trade S1#0 B2#0 1kWh @ 4.00
            cancelled #1 1kWh GateClosed 104
            ended %1 gate_closed 0
            ended %2 gate_closed 0
            closed
            agreed %3 as trade 2 (103 and 107)
            trade S1#0 B1#0 1kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_mass_cancellation_leaves_offers() {
    check_call(
        "offer S1 to B1 1kWh @ 4.00
         mass cancel everyone
         mass cancel platform 1 by 1
         accept %1",
        &expect![[r#"
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            cancelled 0 of everyone for the operator
            cancelled 0 of platform 1 for platform 1 as 103
            agreed %1 as trade 1 (101 and 104)
            trade S1#0 B1#0 1kWh @ 4.00
        "#]],
    );
}

#[test]
fn there_is_room_for_so_many_offers() {
    check(
        "open
         offer S1 to B1 1kWh @ 4.00 until now+5s
         offer S1 to B1 1kWh @ 4.00 ref 2
         offer S1 to B1 1kWh @ 4.00 ref 3
         offer S1 to B1 1kWh @ 4.00 ref 4
         accept %3
         offer S1 to B1 1kWh @ 4.00 ref 4
         offer B1 from S1 1kWh @ 4.00 ref 5
         at now+6s
         offer B1 from S1 1kWh @ 4.00 ref 5",
        &expect![[r#"
            call
            offered %1 S1 to B1 of 2: sell 1kWh @ 4.00
            offered %2 S1 to B1 of 2: sell 1kWh @ 4.00
            offered %3 S1 to B1 of 2: sell 1kWh @ 4.00
            rejected Offer order_limit_reached
            agreed %3 as trade 1 (103 and 105)
            trade S1#0 B1#0 1kWh @ 4.00
            offered %4 S1 to B1 of 2: sell 1kWh @ 4.00
            rejected Offer order_limit_reached
            ended %1 expired 0
            offered %5 B1 to S1 of 1: buy 1kWh @ 4.00
        "#]],
    );
}
