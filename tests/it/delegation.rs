//! Who may send an order: every certificate, signature and delegation, over real sessions.

use ed25519_dalek::SigningKey;
use gateway::client::{FrameToSign, end_delegation, sign_delegation, sign_revocation};
use tests::{
    cast::{self, FIRST, SECOND, THIRD},
    platform::{Platform, price, report, told},
    venue::Venue,
};
use types::{
    Delegation, Energy, MarketId, MeterId, NewOrder, OrderKind, PlatformId, PublicKey, Role, Side,
    Sides, Timestamp,
};
use wire::Inbound;

const SECOND_NS: i64 = 1_000_000_000;

fn platform_key(number: u16) -> SigningKey {
    cast::party_key(cast::party(Role::Platform, number))
}

/// A delegation of a meter to a platform that allows everything for a while.
fn anything(venue: &Venue, (meter, platform): (MeterId, u16), number: u64) -> Delegation {
    let key = cast::meter_key(meter);
    Delegation {
        number,
        meter,
        platform: PlatformId::new(platform),
        market: MarketId::new(0),
        sides: Sides::Both,
        quantity_max: Energy::ZERO,
        buy_limit: Delegation::ANY_BUY,
        sell_limit: Delegation::ANY_SELL,
        valid_from: Timestamp::from_ns(0),
        valid_until: venue.now().plus_ns(3_600 * SECOND_NS),
        key: PublicKey::new(key.verifying_key().to_bytes()).id(),
    }
}

async fn delegate(platform: &mut Platform, delegation: Delegation) -> String {
    let message =
        sign_delegation(&cast::meter_key(delegation.meter), platform.next_id(), delegation);
    told(&platform.ask(message).await)
}

fn framed(orders: &[NewOrder]) -> FrameToSign {
    let mut frame = FrameToSign::default();
    orders.iter().for_each(|&order| frame.push(order));
    frame
}

/// How a frame is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signing {
    /// By the platform whose session it is.
    Own,
    /// By another platform, in its own name.
    OtherPlatform,
    /// By the platform, in the name of another one.
    OtherName,
    /// By the meter's key.
    MetersKey,
    /// Not at all.
    Unsigned,
    /// By the platform; then an order was changed.
    Changed,
    /// By the platform; then an order was left out.
    LeftOut,
}

impl Signing {
    const ALL: [Self; 7] = [
        Self::Own,
        Self::OtherPlatform,
        Self::OtherName,
        Self::MetersKey,
        Self::Unsigned,
        Self::Changed,
        Self::LeftOut,
    ];

    /// The messages of a frame with one order that a platform sends.
    fn messages(self, platform: u16, order: NewOrder, other: NewOrder) -> Vec<Inbound> {
        let (own, others) = (PlatformId::new(platform), PlatformId::new(3 - platform));
        let frame = framed(&[order]);
        match self {
            Self::Own => frame.sign(&platform_key(platform), own),
            Self::OtherPlatform => frame.sign(&platform_key(3 - platform), others),
            Self::OtherName => frame.sign(&platform_key(platform), others),
            Self::MetersKey => frame.sign(&cast::meter_key(order.meter), own),
            Self::Unsigned => vec![Inbound::DelegatedOrder(order)],
            Self::Changed => {
                let changed = NewOrder { quantity: Energy::from_wh(90), ..order };
                let mut messages = frame.sign(&platform_key(platform), own);
                messages[1] = Inbound::DelegatedOrder(changed);
                messages
            }
            Self::LeftOut => {
                let mut messages = framed(&[order, other]).sign(&platform_key(platform), own);
                messages.truncate(2);
                messages
            }
        }
    }
}

/// What a meter has delegated when its order arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Everything, to the platform.
    Everything,
    /// Exactly what the order needs.
    JustEnough,
    /// Nothing, ever.
    Nothing,
    /// Everything, to the other platform.
    ToTheOther,
    /// Something that is over.
    Expired,
    /// Something that has not begun.
    NotBegun,
    /// Something that the platform gave back.
    GivenBack,
    /// Something that the meter's owner revoked.
    Revoked,
    /// Something that its owner revoked while the signed order was on its way.
    RevokedInFlight,
    /// Something that went to the other platform while the signed order was on its way.
    MovedInFlight,
    /// The other side only.
    OtherSide,
    /// Less energy.
    LessEnergy,
    /// A better price.
    BetterPrice,
    /// Any price of a limit order, and the order is a market order.
    NoMarketOrder,
}

impl Held {
    const ALL: [Self; 14] = [
        Self::Everything,
        Self::JustEnough,
        Self::Nothing,
        Self::ToTheOther,
        Self::Expired,
        Self::NotBegun,
        Self::GivenBack,
        Self::Revoked,
        Self::RevokedInFlight,
        Self::MovedInFlight,
        Self::OtherSide,
        Self::LessEnergy,
        Self::BetterPrice,
        Self::NoMarketOrder,
    ];

    /// What a well signed order of 100 Wh is told.
    const fn answer(self) -> &'static str {
        match self {
            Self::Everything | Self::JustEnough => "new 100",
            Self::Expired => "rejected delegation_expired",
            Self::OtherSide | Self::LessEnergy | Self::BetterPrice | Self::NoMarketOrder => {
                "rejected delegation_exceeded"
            }
            Self::Nothing
            | Self::ToTheOther
            | Self::NotBegun
            | Self::GivenBack
            | Self::Revoked
            | Self::RevokedInFlight
            | Self::MovedInFlight => "rejected delegation_missing",
        }
    }

    /// What is entered before the order is signed: to whom, and what.
    fn delegation(self, venue: &Venue, platform: u16, number: u64) -> Option<Delegation> {
        let all = anything(venue, (FIRST, platform), number);
        let now = venue.now();
        Some(match self {
            Self::Nothing => return None,
            Self::Everything
            | Self::GivenBack
            | Self::Revoked
            | Self::RevokedInFlight
            | Self::MovedInFlight => all,
            Self::JustEnough => Delegation {
                sides: Sides::Sell,
                market: MarketId::new(1),
                quantity_max: Energy::from_wh(100),
                sell_limit: price(300),
                ..all
            },
            Self::ToTheOther => anything(venue, (FIRST, 3 - platform), number),
            Self::Expired => Delegation { valid_until: now.plus_ns(SECOND_NS), ..all },
            Self::NotBegun => Delegation { valid_from: now.plus_ns(600 * SECOND_NS), ..all },
            Self::OtherSide => Delegation { sides: Sides::Buy, ..all },
            Self::LessEnergy => Delegation { quantity_max: Energy::from_wh(90), ..all },
            Self::BetterPrice => Delegation { sell_limit: price(301), ..all },
            Self::NoMarketOrder => Delegation { sell_limit: price(0), ..all },
        })
    }
}

/// The two platforms, and the numbers of delegations.
struct Desk {
    venue: Venue,
    sessions: [Platform; 2],
    number: u64,
}

impl Desk {
    fn session(&mut self, platform: u16) -> &mut Platform {
        &mut self.sessions[usize::from(platform) - 1]
    }

    /// Runs one cell: what the order is told.
    async fn cell(&mut self, platform: u16, signing: Signing, held: Held) -> String {
        let meter = if held == Held::Nothing { THIRD } else { FIRST };
        self.number += 2;
        let number = self.number;
        if let Some(delegation) = held.delegation(&self.venue, platform, number) {
            let entered = format!("delegation {number} of meter {meter}");
            let brings = delegation.platform.get();
            assert_eq!(delegate(self.session(brings), delegation).await, entered, "{held:?}");
        }
        let session = self.session(platform);
        let mut order = session.order(meter, Side::Sell, 300, 100);
        if held == Held::NoMarketOrder {
            (order.kind, order.limit) = (OrderKind::Market, price(0));
        }
        let other = session.order(meter, Side::Sell, 301, 10);
        let messages = signing.messages(platform, order, other);
        self.before_it_arrives(platform, held).await;
        let session = self.session(platform);
        session.send(&messages).await;
        let answer = session.answer(order.client_order).await;
        if told(&answer) == "new 100" {
            let number = report(&answer).order;
            assert_eq!(told(&session.cancel(number).await), "cancelled 100 requested");
        }
        // The signature of a frame that was turned away is answered too; other platforms are told.
        session.unread().await;
        told(&answer)
    }

    /// What the holder of a delegation is told when it ends without its asking.
    async fn told_unasked(&mut self, platform: u16) -> String {
        told(&self.session(platform).answer(types::ClientOrderId::new(0)).await)
    }

    /// What happens between signature and sequence.
    async fn before_it_arrives(&mut self, platform: u16, held: Held) {
        let (number, other) = (self.number, 3 - platform);
        let ended = format!("no delegation up to {number} of meter {FIRST}");
        match held {
            Held::Expired => {
                let later = self.venue.now().plus_ns(2 * SECOND_NS);
                self.venue.set_clock(later).await;
            }
            Held::GivenBack => {
                let session = self.session(platform);
                let message = end_delegation(session.next_id(), FIRST, number);
                assert_eq!(told(&session.ask(message).await), ended);
            }
            Held::Revoked | Held::RevokedInFlight => {
                // Whoever brings it: the meter signed it.
                let session = self.session(other);
                let id = session.next_id();
                let message = sign_revocation(&cast::meter_key(FIRST), id, FIRST, number);
                assert_eq!(told(&session.ask(message).await), ended);
                assert_eq!(self.told_unasked(platform).await, ended);
            }
            Held::MovedInFlight => {
                let moved = anything(&self.venue, (FIRST, other), number + 1);
                delegate(self.session(other), moved).await;
                let ended = format!("no delegation up to {} of meter {FIRST}", number + 1);
                assert_eq!(self.told_unasked(platform).await, ended);
            }
            Held::Everything
            | Held::JustEnough
            | Held::Nothing
            | Held::ToTheOther
            | Held::NotBegun
            | Held::OtherSide
            | Held::LessEnergy
            | Held::BetterPrice
            | Held::NoMarketOrder => {}
        }
    }
}

async fn desk() -> Desk {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let sessions = [Platform::log_on(&venue, 1).await, Platform::log_on(&venue, 2).await];
    Desk { venue, sessions, number: 0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_certificate_signature_and_delegation() {
    let mut desk = desk().await;
    for platform in [1, 2] {
        for signing in Signing::ALL {
            for held in Held::ALL {
                let expected = match signing {
                    Signing::Own => held.answer(),
                    Signing::OtherPlatform
                    | Signing::OtherName
                    | Signing::MetersKey
                    | Signing::Unsigned
                    | Signing::Changed
                    | Signing::LeftOut => "turned away signature_invalid",
                };
                let answer = desk.cell(platform, signing, held).await;
                assert_eq!(answer, expected, "platform {platform}, {signing:?}, {held:?}");
            }
        }
    }
    let dir = desk.venue.stop().await;
    let evidence = replay::verify_signatures(&dir.path().join("journal")).unwrap();
    assert_eq!((evidence.frames, evidence.frame_orders, evidence.orders), (28, 28, 0));
    assert!(evidence.delegations > 14 * 13, "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_orders_and_replacements_trades() {
    let mut desk = desk().await;
    for (platform, meter) in [(1, FIRST), (1, THIRD), (2, SECOND)] {
        let delegation = anything(&desk.venue, (meter, platform), 1);
        let entered = format!("delegation 1 of meter {meter}");
        assert_eq!(delegate(desk.session(platform), delegation).await, entered);
        assert_eq!(delegate(desk.session(platform), delegation).await, entered, "again");
    }
    let [seller, buyer] = &mut desk.sessions;
    let first = seller.order(FIRST, Side::Sell, 300, 500);
    let second = seller.order(THIRD, Side::Sell, 310, 400);
    seller.send(&framed(&[first, second]).sign(&platform_key(1), PlatformId::new(1))).await;
    let resting = report(&seller.answer(first.client_order).await);
    assert_eq!(told(&seller.answer(second.client_order).await), "new 400");

    // A frame with a replacement and an order that repeats.
    let replace = seller.replacement(resting.order, FIRST, 200, 500);
    let mut frame = framed(&[second]);
    frame.push_replace(replace);
    seller.send(&frame.sign(&platform_key(1), PlatformId::new(1))).await;
    assert_eq!(told(&seller.answer(second.client_order).await), "status filled 0 leaves 400");
    assert_eq!(told(&seller.answer(replace.client_order).await), "replaced leaves 500");

    let buy = buyer.order(SECOND, Side::Buy, 310, 800);
    buyer.send(&framed(&[buy]).sign(&platform_key(2), PlatformId::new(2))).await;
    assert_eq!(told(&buyer.answer(buy.client_order).await), "new 800");
    assert_eq!(buyer.unread_words().await, ["trade 500 leaves 300", "trade 300 leaves 0"]);
    assert_eq!(seller.unread_words().await, ["trade 500 leaves 0", "trade 300 leaves 100"]);

    // Delegations outlive a restart.
    let (venue, _) = desk.venue.restart().await;
    let mut session = Platform::log_on(&venue, 1).await.counting_from(100);
    let order = session.order(FIRST, Side::Sell, 320, 100);
    session.send(&framed(&[order]).sign(&platform_key(1), PlatformId::new(1))).await;
    assert_eq!(told(&session.answer(order.client_order).await), "new 100");
    let dir = venue.stop().await;
    let evidence = replay::verify_signatures(&dir.path().join("journal")).unwrap();
    assert_eq!((evidence.frames, evidence.frame_orders), (4, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delegations_are_entered_by_their_platform_in_order_and_signed() {
    let mut desk = desk().await;
    let of = |number| anything(&desk.venue, (FIRST, 2), number);
    let (good, older) = (of(5), of(4));
    let over = Delegation { valid_until: Timestamp::from_ns(1), ..of(6) };
    let elsewhere = Delegation { market: MarketId::new(9), ..of(6) };
    let unknown = Delegation { meter: MeterId::new(99), ..of(6) };
    let key = Delegation { key: types::KeyId::new(7), ..of(6) };
    let [first, second] = &mut desk.sessions;
    assert_eq!(delegate(second, good).await, "delegation 5 of meter 1");
    for (delegation, expected) in [
        (older, "delegation rejected delegation_outdated"),
        (Delegation { number: 5, ..over }, "delegation rejected delegation_expired"),
        (over, "delegation rejected delegation_expired"),
        (elsewhere, "delegation rejected unknown_market"),
        (unknown, "turned away unknown_meter"),
        (key, "turned away signature_invalid"),
    ] {
        assert_eq!(delegate(second, delegation).await, expected, "{delegation:?}");
    }
    assert_eq!(delegate(first, good).await, "turned away not_authorised");
    // A signature over another delegation.
    let Inbound::DelegateMeter(signed) = sign_delegation(
        &cast::meter_key(FIRST),
        second.next_id(),
        Delegation { number: 6, ..good },
    ) else {
        panic!();
    };
    let delegation = Delegation { number: 7, ..good };
    let forged = Inbound::DelegateMeter(wire::inbound::Delegate { delegation, ..signed });
    assert_eq!(told(&second.ask(forged).await), "turned away signature_invalid");

    // Nobody gives back what another holds, or what is not the newest.
    let message = end_delegation(first.next_id(), FIRST, 5);
    assert_eq!(told(&first.ask(message).await), "revocation rejected not_authorised");
    let message = end_delegation(second.next_id(), FIRST, 4);
    assert_eq!(told(&second.ask(message).await), "revocation rejected delegation_outdated");
    let message = sign_revocation(&cast::meter_key(SECOND), first.next_id(), FIRST, 5);
    assert_eq!(told(&first.ask(message).await), "turned away signature_invalid");
    // A revocation ahead of its delegation holds too.
    let message = sign_revocation(&cast::meter_key(FIRST), first.next_id(), FIRST, 9);
    assert_eq!(told(&first.ask(message).await), "no delegation up to 9 of meter 1");
    assert_eq!(
        delegate(second, Delegation { number: 9, ..good }).await,
        "delegation rejected delegation_outdated"
    );
    desk.venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_frame_goes_in_whole_or_not_at_all() {
    let mut desk = desk().await;
    let delegation = anything(&desk.venue, (FIRST, 1), 1);
    delegate(desk.session(1), delegation).await;
    let session = desk.session(1);
    let orders = [1, 2, 3].map(|at| session.order(FIRST, Side::Sell, 300 + at, 10));
    let sign = |orders: &[NewOrder]| framed(orders).sign(&platform_key(1), PlatformId::new(1));

    let torn: [fn(&mut Vec<Inbound>); 4] = [
        // A signature that is not the first message of its frame.
        |messages| messages.insert(0, Inbound::Heartbeat(wire::inbound::Empty)),
        // Another message between its orders.
        |messages| messages.insert(2, Inbound::Heartbeat(wire::inbound::Empty)),
        // In another order.
        |messages| messages.swap(1, 2),
        // One of them twice.
        |messages| messages[1] = messages[2],
    ];
    for tear in torn {
        let mut messages = sign(&orders);
        tear(&mut messages);
        session.send(&messages).await;
        // The signature is told without a number, each order with its own.
        for message in messages {
            if let Inbound::Heartbeat(_) = message {
                continue;
            }
            let number = if let Inbound::DelegatedOrder(order) = message {
                order.client_order
            } else {
                types::ClientOrderId::new(0)
            };
            let answer = told(&session.answer(number).await);
            let expected = ["turned away signature_invalid", "turned away unexpected_message"];
            assert!(expected.contains(&answer.as_str()), "{answer}");
        }
    }
    // A frame that covers nothing.
    session.send(&sign(&[])).await;
    let answer = session.answer(types::ClientOrderId::new(0)).await;
    assert_eq!(told(&answer), "turned away signature_invalid");
    // Behind what it covers anything may stand.
    let mut messages = sign(&orders);
    let cancel = session.next_id();
    messages.push(gateway::client::cancel(cancel, types::OrderId::new(77)));
    session.send(&messages).await;
    assert_eq!(told(&session.answer(cancel).await), "cancel rejected unknown_order");
    assert_eq!(session.unread_words().await, ["new 10"; 3]);
    desk.venue.close().await;
}
