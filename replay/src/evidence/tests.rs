use ed25519_dalek::{Signer as _, SigningKey};
use types::{
    AcceptContract, ClientOrderId, Code, ContractTerms, DelegateMeter, DelegatedOrder,
    DelegatedReplace, Delegation, DeliverySlot, Energy, MarketId, MeterRegistration, NewOrder,
    OfferContract, OfferId, OrderId, OwnerId, Party, PartyRegistration, Power, Price, ReplaceOrder,
    RetailerId, SessionId, Side, Sides, SignedNewOrder, SlotKey, Timestamp, UtilityId,
};
use wire::Inbound;

use super::*;
use crate::stage;

const PLATFORM: PlatformId = PlatformId::new(1);
const METER: MeterId = MeterId::new(1);

fn meter_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn platform_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::new(key.verifying_key().to_bytes())
}

fn sign(key: &SigningKey, bytes: &[u8]) -> Signature {
    Signature::new(key.sign(bytes).to_bytes())
}

const fn origin(session: u32) -> Origin {
    Origin { platform: PLATFORM, session: SessionId::new(session) }
}

fn order(number: u64) -> NewOrder {
    let slot = DeliverySlot::new(29_000_100, 15).unwrap();
    let key = SlotKey { market: MarketId::new(1), slot };
    stage::order(number, 1, key, Side::Sell).order
}

fn replacement() -> ReplaceOrder {
    ReplaceOrder {
        client_order: ClientOrderId::new(9),
        order: OrderId::new(1),
        meter: METER,
        limit: Price::from_micros(200_000),
        quantity: Energy::from_wh(500),
        valid_until: Timestamp::from_seconds(1_800_000_000),
    }
}

fn registrations() -> Vec<Event> {
    let party = Party { role: Role::Platform, number: PLATFORM.get() };
    let key = public(&platform_key());
    let code = Code::new("one").unwrap();
    let meter = MeterRegistration {
        meter: METER,
        code,
        platform: PLATFORM,
        retailer: RetailerId::new(1),
        utility: UtilityId::new(1),
        owner: OwnerId::new(0),
        key: public(&meter_key()),
        injection_max: Power::from_w(1),
        withdrawal_max: Power::from_w(1),
    };
    let party = PartyRegistration { party, code, key };
    vec![Event::PartyRegistered(party), Event::MeterRegistered(meter)]
}

fn signed_frame(session: u32, messages: &[Command]) -> Command {
    let mut covered = Vec::new();
    for command in messages {
        if let Command::DelegatedOrder(of) = command {
            signing::delegated_order(&of.order, &mut covered);
        } else if let Command::DelegatedReplace(of) = command {
            signing::delegated_replace(&of.replace, &mut covered);
        }
    }
    let digest = Digest::new(Sha256::digest(&covered).into());
    let key = public(&platform_key()).id();
    let orders = u16::try_from(messages.len()).unwrap();
    let mut bytes = Vec::new();
    signing::frame(PLATFORM, key, orders, &digest, &mut bytes);
    let signature = sign(&platform_key(), &bytes);
    Command::SignedFrame(SignedFrame { origin: origin(session), frame: 2, orders, key, signature })
}

/// A delegation, an order that the meter signed, and two frames of two sessions in between each other.
fn history() -> Vec<Command> {
    let mut bytes = Vec::new();
    let delegation = Delegation {
        number: 1,
        meter: METER,
        platform: PLATFORM,
        market: MarketId::new(0),
        sides: Sides::Both,
        quantity_max: Energy::ZERO,
        buy_limit: Delegation::ANY_BUY,
        sell_limit: Delegation::ANY_SELL,
        valid_from: Timestamp::from_ns(0),
        valid_until: Timestamp::from_seconds(1_800_000_000),
        key: public(&meter_key()).id(),
    };
    signing::delegation(&delegation, &mut bytes);
    let delegate = Command::DelegateMeter(DelegateMeter {
        origin: origin(1),
        client_order: ClientOrderId::new(1),
        delegation,
        signature: sign(&meter_key(), &bytes),
    });
    signing::new_order(&order(2), &mut bytes);
    let signature = sign(&meter_key(), &bytes);
    let own = Command::NewOrder(SignedNewOrder { origin: origin(1), order: order(2), signature });
    signing::revocation(METER, 1, &mut bytes);
    let revoke = Command::RevokeDelegation(types::RevokeDelegation {
        origin: origin(1),
        client_order: ClientOrderId::new(8),
        meter: METER,
        number: 1,
        signature: Some(sign(&meter_key(), &bytes)),
    });
    let new = |session, number| {
        Command::DelegatedOrder(DelegatedOrder { origin: origin(session), order: order(number) })
    };
    let replace =
        Command::DelegatedReplace(DelegatedReplace { origin: origin(1), replace: replacement() });
    let first = [new(1, 3), replace, new(1, 4)];
    let second = [new(2, 5)];
    let frames = [signed_frame(1, &first), signed_frame(2, &second)];
    let [one, two, three] = first;
    let [offer, accept] = contract();
    vec![delegate, own, frames[0], one, frames[1], two, second[0], three, revoke, offer, accept]
}

/// The meter offers itself what it accepts: whose key it is counts here, and nothing else.
fn contract() -> [Command; 2] {
    let terms = ContractTerms {
        key: order(2).key,
        buyer: METER,
        seller: METER,
        price: Price::from_micros(4_000_000),
        quantity: Energy::from_wh(500),
        reference: 9,
        expires: Timestamp::from_seconds(1_800_000_000),
    };
    let mut bytes = Vec::new();
    signing::contract(&terms, &mut bytes);
    let (origin, signature) = (origin(3), sign(&meter_key(), &bytes));
    let client_order = ClientOrderId::new(9);
    let offered_by = Side::Sell;
    let offer = OfferContract { origin, client_order, terms, offered_by, signature };
    let (offer_id, accepted_by) = (OfferId::new(1), Side::Buy);
    let accept =
        AcceptContract { origin, client_order, offer: offer_id, terms, accepted_by, signature };
    [Command::OfferContract(offer), Command::AcceptContract(accept)]
}

#[test]
fn one_changed_number_of_a_contract_is_found() {
    let changes: [fn(&mut ContractTerms); 6] = [
        |terms| terms.price = Price::from_micros(4_000_001),
        |terms| terms.quantity = Energy::from_wh(501),
        |terms| terms.reference ^= 1,
        |terms| terms.expires = terms.expires.plus_ns(1),
        |terms| terms.key.market = MarketId::new(2),
        |terms| (terms.buyer, terms.seller) = (MeterId::new(2), terms.seller),
    ];
    for change in changes {
        let [mut offer, mut accept] = contract();
        if let Command::OfferContract(request) = &mut offer {
            change(&mut request.terms);
        }
        if let Command::AcceptContract(request) = &mut accept {
            change(&mut request.terms);
        }
        assert!(check(&[offer]).is_err());
        assert!(check(&[accept]).is_err());
    }
}

fn check(commands: &[Command]) -> Result<Evidence, EvidenceError> {
    let mut checker = Checker::default();
    let entered = std::iter::once((Command::PassTime, registrations()));
    let sent = commands.iter().map(|&command| (command, Vec::new()));
    for (seq, (value, events)) in (1..).zip(entered.chain(sent)) {
        let time = Timestamp::from_ns(i64::try_from(seq).unwrap());
        checker.take(&Entry { command: Sequenced { seq: Seq::new(seq), time, value }, events })?;
    }
    checker.finish()
}

#[test]
fn genuine_signatures_are_counted() {
    let found = check(&history()).unwrap();
    let expected = Evidence {
        orders: 1,
        delegations: 2,
        contracts: 2,
        frames: 2,
        frame_orders: 4,
        ..Evidence::default()
    };
    assert_eq!(found, expected);
    assert_eq!(found.signatures(), 7);
}

/// Every value that differs from a message in one bit.
fn flipped(message: Inbound) -> Vec<Inbound> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let flips = (0..bytes.len() * 8).filter_map(|bit| {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        Inbound::decode(&mut flipped.as_slice()).ok()
    });
    flips.collect()
}

#[test]
fn one_flipped_bit_of_an_order_in_a_frame_is_found() {
    let mut tried = 0;
    for (at, command) in history().iter().enumerate() {
        let changed = if let Command::DelegatedOrder(of) = command {
            flipped(Inbound::DelegatedOrder(of.order))
        } else if let Command::DelegatedReplace(of) = command {
            flipped(Inbound::DelegatedReplace(of.replace))
        } else {
            continue;
        };
        let origin = command.origin().unwrap();
        for message in changed {
            let mut commands = history();
            commands[at] = if let Inbound::DelegatedOrder(order) = message {
                Command::DelegatedOrder(DelegatedOrder { origin, order })
            } else if let Inbound::DelegatedReplace(replace) = message {
                Command::DelegatedReplace(DelegatedReplace { origin, replace })
            } else {
                continue;
            };
            let error = check(&commands).unwrap_err();
            assert!(matches!(error, EvidenceError::Invalid { .. }), "{error}: {message:?}");
            tried += 1;
        }
    }
    assert!(tried > 1_500, "{tried}");
}

#[test]
fn one_flipped_bit_of_a_signature_is_found() {
    for at in 0..history().len() {
        for bit in 0..512 {
            let mut commands = history();
            let flip = |signature: &mut Signature| {
                let mut bytes = *signature.as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                *signature = Signature::new(bytes);
            };
            let command = &mut commands[at];
            if let Command::SignedFrame(signed) = command {
                flip(&mut signed.signature);
            } else if let Command::NewOrder(signed) = command {
                flip(&mut signed.signature);
            } else if let Command::DelegateMeter(request) = command {
                flip(&mut request.signature);
            } else if let Command::OfferContract(request) = command {
                flip(&mut request.signature);
            } else if let Command::AcceptContract(request) = command {
                flip(&mut request.signature);
            } else if let Command::RevokeDelegation(request) = command {
                request.signature.iter_mut().for_each(flip);
            } else {
                break;
            }
            let error = check(&commands).unwrap_err();
            assert!(matches!(error, EvidenceError::Invalid { .. }), "{error}");
        }
    }
}

#[test]
fn orders_that_are_left_out_moved_or_added_are_found() {
    let says = |change: fn(&mut Vec<Command>)| {
        let mut commands = history();
        change(&mut commands);
        check(&commands).unwrap_err().to_string()
    };
    assert_eq!(
        says(|commands| commands.truncate(commands.len() - 4)),
        "the frame at sequence 4 lacks 1 of the orders that it covers"
    );
    assert_eq!(
        says(|commands| commands[5] = commands[1]),
        "the frame at sequence 4 lacks 2 of the orders that it covers"
    );
    assert_eq!(
        says(|commands| commands.swap(3, 7)),
        "the signature at sequence 4 does not verify under the key of platform 1"
    );
    assert_eq!(
        says(|commands| commands.push(commands[3])),
        "the order at sequence 13 stands in no signed frame"
    );
    assert_eq!(
        says(|commands| {
            let Command::NewOrder(signed) = &mut commands[1] else { panic!() };
            signed.order.meter = MeterId::new(7);
        }),
        "sequence 3 is signed by meter 7, whose registration is not in this journal"
    );
}
