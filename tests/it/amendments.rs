//! Changes of trades before their gates, over real sessions: offered, accepted, told to both sides, settled
//! and proved, and refused for each reason there is.

use gateway::client::{accept_amendment, decline_contract, offer_amendment, withdraw_contract};
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD},
    platform::{Platform, told},
    venue::Venue,
};
use types::{
    AmendmentTerms, DeliverySlot, Energy, Event, FIRST_VERSION, MarketId, Price, Role, Seq, Side,
    TradeId,
};
use wire::{
    Inbound, Outbound,
    data::{RequestKind, SinceQuery},
    outbound::AmendmentInvitation,
};

/// An exchange with a trade from the book: at noon the first meter gives the second one half a kWh.
pub(crate) async fn desk() -> (Venue, Platform, Platform) {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 110, 500);
    first.accepted(sell).await;
    let buy = second.order(SECOND, Side::Buy, 110, 500);
    second.accepted(buy).await;
    assert_eq!(told(&first.next().await), "trade 500 leaves 0");
    assert_eq!(told(&second.next().await), "trade 500 leaves 0");
    venue.settled().await;
    (venue, first, second)
}

/// That trade, to be of so many Wh instead.
pub(crate) fn terms(venue: &Venue, wh: u64, reference: u64) -> AmendmentTerms {
    let key = venue.slot(0);
    AmendmentTerms {
        trade: TradeId::new(1),
        version: FIRST_VERSION,
        key,
        buyer: SECOND,
        seller: FIRST,
        price: Price::from_micros(110_000),
        quantity: Energy::from_wh(500),
        new_slot: key.slot,
        new_quantity: Energy::from_wh(wh),
        reference,
        expires: venue.minutes_from_noon(0),
    }
}

/// What comes after a change.
fn next(terms: AmendmentTerms, wh: u64) -> AmendmentTerms {
    AmendmentTerms {
        version: terms.new_version(),
        key: terms.new_key(),
        quantity: terms.new_quantity,
        new_quantity: Energy::from_wh(wh),
        reference: terms.reference + 1,
        ..terms
    }
}

async fn offer(platform: &mut Platform, side: Side, terms: AmendmentTerms) -> String {
    let key = cast::meter_key(terms.meter(side));
    loop {
        let number = platform.next_id();
        let answer = told(&platform.ask(offer_amendment(&key, number, side, terms)).await);
        // A platform may know of its trade before settlement does.
        if answer != "turned away unknown_trade" || terms.trade.get() != 1 {
            return answer;
        }
    }
}

async fn invitation(platform: &mut Platform) -> AmendmentInvitation {
    let message = platform.next().await;
    let Outbound::AmendmentInvitation(invitation) = message else { panic!("{message:?}") };
    invitation
}

async fn accept(platform: &mut Platform, invitation: &AmendmentInvitation) -> String {
    let side = invitation.offered_by.opposite();
    let key = cast::meter_key(invitation.terms.meter(side));
    let message = accept_amendment(&key, platform.next_id(), invitation);
    told(&platform.ask(message).await)
}

/// The seller asks and the buyer agrees.
pub(crate) async fn agree(first: &mut Platform, second: &mut Platform, terms: AmendmentTerms) {
    assert!(offer(first, Side::Sell, terms).await.starts_with("Open "));
    let invited = invitation(second).await;
    assert_eq!((invited.terms, invited.offered_by), (terms, Side::Sell));
    assert!(accept(second, &invited).await.ends_with(" as trade 1"));
    assert!(told(&first.next().await).ends_with(" as trade 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_of_the_book_is_changed_moved_and_cancelled() {
    let (venue, mut first, mut second) = desk().await;
    let smaller = terms(&venue, 300, 1);
    agree(&mut first, &mut second, smaller).await;
    // Again, by either side: the same answer.
    assert_eq!(offer(&mut first, Side::Sell, smaller).await, "Agreed 1 as trade 1");
    let moved = AmendmentTerms { new_slot: venue.slot(1).slot, ..next(smaller, 400) };
    agree(&mut first, &mut second, moved).await;
    let cancelled = next(moved, 0);
    agree(&mut first, &mut second, cancelled).await;
    let again = next(cancelled, 100);
    assert_eq!(offer(&mut first, Side::Sell, again).await, "OfferRefused nothing_to_change");

    let feed = venue.feed(Seq::ZERO, venue.durable()).await;
    let changes: Vec<_> = feed
        .iter()
        .filter_map(|item| {
            if let Event::ContractAmended(amended) = item.event {
                Some(amended.terms)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(changes, [smaller, moved, cancelled]);

    // Both retailers and both utilities see every version.
    venue.settled().await;
    for (role, number) in
        [(Role::Retailer, 1), (Role::Retailer, 2), (Role::Utility, 1), (Role::Utility, 2)]
    {
        let desk = venue.desk(cast::party(role, number)).await;
        let query = SinceQuery { after: 0, market: MarketId::new(0), wait_seconds: 0 };
        let text = desk.since(RequestKind::Notices, query).await.unwrap();
        let versions = text.matches("\"what\":\"amended\"").count();
        assert_eq!(versions, 3, "{role:?} {number}: {text}");
    }
    let dir = venue.stop().await;
    let pipeline = tests::day::settlement(dir.path());
    let audit = pipeline.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    // Three changes with two signatures each, one offer sent again, one refused.
    let evidence = replay::evidence::verify_signatures(&dir.path().join("journal")).unwrap();
    assert_eq!(evidence.contracts, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_or_not_true_changes_nothing() {
    let (venue, mut first, mut second) = desk().await;
    let good = terms(&venue, 300, 1);
    let signed = |platform: &mut Platform, meter, side, terms| {
        offer_amendment(&cast::meter_key(meter), platform.next_id(), side, terms)
    };
    // By another key, changed by a bit after it was signed, and by who is no party.
    let forged = signed(&mut first, THIRD, Side::Sell, good);
    assert_eq!(told(&first.ask(forged).await), "turned away signature_invalid");
    let Inbound::OfferAmendment(mut changed) = signed(&mut first, FIRST, Side::Sell, good) else {
        panic!()
    };
    changed.terms.new_quantity = Energy::from_wh(301);
    let changed = Inbound::OfferAmendment(changed);
    assert_eq!(told(&first.ask(changed).await), "turned away signature_invalid");
    let others = signed(&mut second, FIRST, Side::Sell, good);
    assert_eq!(told(&second.ask(others).await), "turned away not_authorised");
    let stranger = AmendmentTerms { seller: THIRD, ..good };
    assert_eq!(offer(&mut first, Side::Sell, stranger).await, "turned away terms_differ");
    let stranger = AmendmentTerms { buyer: FOURTH, ..good };
    assert_eq!(offer(&mut first, Side::Sell, stranger).await, "turned away terms_differ");
    // Of a trade that is not, or is other than they say.
    let unknown = AmendmentTerms { trade: TradeId::new(2), ..good };
    assert_eq!(offer(&mut first, Side::Sell, unknown).await, "turned away unknown_trade");
    for false_terms in [
        AmendmentTerms { quantity: Energy::from_wh(600), ..good },
        AmendmentTerms { key: venue.slot(1), ..good },
        AmendmentTerms { price: Price::from_micros(120_000), ..good },
    ] {
        assert_eq!(offer(&mut first, Side::Sell, false_terms).await, "turned away terms_differ");
    }
    let newer = AmendmentTerms { version: 2, ..good };
    assert_eq!(offer(&mut first, Side::Sell, newer).await, "OfferRefused stale_version");
    assert_eq!(second.unread().await, [], "nobody is invited");

    assert_eq!(offer(&mut first, Side::Sell, good).await, "Open 1");
    let invited = invitation(&mut second).await;
    let number = second.next_id();
    let forged = accept_amendment(&cast::meter_key(FOURTH), number, &invited);
    assert_eq!(told(&second.ask(forged).await), "turned away signature_invalid");
    let other = AmendmentTerms { new_quantity: Energy::from_wh(200), ..good };
    let other = AmendmentInvitation { terms: other, ..invited };
    assert_eq!(accept(&mut second, &other).await, "AcceptRefused terms_differ");
    let reversed = AmendmentInvitation { offered_by: Side::Buy, ..invited };
    assert_eq!(accept(&mut first, &reversed).await, "AcceptRefused not_authorised");
    assert_eq!(first.unread().await, []);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t114_changes_end_in_every_way_and_one_waits_at_a_time() {
    let (venue, mut first, mut second) = desk().await;
    assert_eq!(offer(&mut first, Side::Sell, terms(&venue, 300, 1)).await, "Open 1");
    invitation(&mut second).await;
    let two = terms(&venue, 200, 2);
    assert_eq!(offer(&mut second, Side::Buy, two).await, "OfferRefused amendment_open");
    let number = second.next_id();
    let declined = second.ask(decline_contract(number, types::OfferId::new(1))).await;
    assert_eq!(told(&declined), "Declined 1");
    assert_eq!(told(&first.next().await), "Declined 1");

    assert_eq!(offer(&mut second, Side::Buy, two).await, "Open 2");
    let invited = invitation(&mut first).await;
    let number = second.next_id();
    let withdrawn = second.ask(withdraw_contract(number, types::OfferId::new(2))).await;
    assert_eq!(told(&withdrawn), "Withdrawn 2");
    assert_eq!(told(&first.next().await), "Withdrawn 2");
    assert_eq!(accept(&mut first, &invited).await, "AcceptRefused unknown_offer");

    // More than the seller's meter can give, which the buyer's acceptance finds out.
    let most = terms(&venue, cast::INJECTION_WH + 10, 3);
    assert_eq!(offer(&mut first, Side::Sell, most).await, "OfferRefused capacity_exceeded");
    assert_eq!(offer(&mut second, Side::Buy, most).await, "Open 3");
    let invited = invitation(&mut first).await;
    assert_eq!(accept(&mut first, &invited).await, "AcceptRefused capacity_exceeded");
    let number = second.next_id();
    second.ask(withdraw_contract(number, types::OfferId::new(3))).await;
    first.next().await;

    let brief = AmendmentTerms { expires: venue.minutes_from_noon(-20), ..terms(&venue, 300, 4) };
    assert_eq!(offer(&mut first, Side::Sell, brief).await, "Open 4");
    let invited = invitation(&mut second).await;
    venue.clock_to(-19).await;
    assert_eq!(accept(&mut second, &invited).await, "AcceptRefused unknown_offer");
    assert_eq!(told(&first.next().await), "Expired 4");

    // The gate of the slot that is left ends it.
    let moved = AmendmentTerms { new_slot: venue.slot(1).slot, ..terms(&venue, 500, 5) };
    assert_eq!(offer(&mut first, Side::Sell, moved).await, "Open 5");
    let invited = invitation_behind(&mut second).await;
    venue.clock_to(-14).await;
    assert_eq!(told(&first.next().await), "GateClosed 5");
    assert_eq!(accept(&mut second, &invited).await, "AcceptRefused unknown_offer");
    let late = terms(&venue, 300, 6);
    assert_eq!(offer(&mut first, Side::Sell, late).await, "OfferRefused gate_closed");
    let odd = DeliverySlot::new(late.key.slot.start_minute() + 5, 15).unwrap();
    let odd = AmendmentTerms { new_slot: odd, ..late };
    assert_eq!(offer(&mut first, Side::Sell, odd).await, "OfferRefused gate_closed");
    venue.close().await;
}

/// An invitation behind what was told before it.
async fn invitation_behind(platform: &mut Platform) -> AmendmentInvitation {
    loop {
        if let Outbound::AmendmentInvitation(invitation) = platform.next().await {
            return invitation;
        }
    }
}
