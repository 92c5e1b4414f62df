//! Neighbours who change what they agreed on, before its gate. The rules are stated here and nowhere else:
//!
//! - A quarter hour after they agreed, of twelve contracts two sellers and two buyers ask for half of it,
//!   one seller asks to deliver a quarter hour later, and one buyer asks to cancel.
//! - One in three of those who are asked declines. What stays changed comes off the forecasts or back to
//!   them before they trade in the book.

use types::{
    AmendmentTerms, ContractTerms, Energy, FIRST_VERSION, MarketDefinition, Side, SlotKey,
    Timestamp, TradeId,
};
use wire::outbound::AmendmentInvitation;

use super::{
    dice::{Dice, Question},
    strategy::lots,
    trader::Intent,
};

/// A contract that two neighbours agreed on.
#[derive(Debug, Clone, Copy)]
pub struct Contract {
    /// Its trade.
    pub trade: TradeId,
    /// What both signed.
    pub terms: ContractTerms,
}

/// What one side asks to change of a contract, if it asks, and which side that is.
#[must_use]
pub fn request(
    dice: Dice,
    market: &MarketDefinition,
    contract: &Contract,
    next: Option<SlotKey>,
    expires: Timestamp,
) -> Option<(Side, AmendmentTerms)> {
    let ContractTerms { key, buyer, seller, price, quantity, .. } = contract.terms;
    let roll = dice.roll(Question::Change, buyer.get(), key.slot.start_minute(), 12);
    let half = lots(market, quantity.wh().div_euclid(2));
    let (by, new_slot, new_quantity) = match roll {
        0 | 1 => (Side::Sell, key.slot, half?),
        2 | 3 => (Side::Buy, key.slot, half?),
        4 => (Side::Sell, next?.slot, quantity),
        5 => (Side::Buy, key.slot, Energy::ZERO),
        _ => return None,
    };
    let terms = AmendmentTerms {
        trade: contract.trade,
        version: FIRST_VERSION,
        key,
        buyer,
        seller,
        price,
        quantity,
        new_slot,
        new_quantity,
        reference: 1,
        expires,
    };
    Some((by, terms))
}

/// What the other side says.
#[must_use]
pub fn answer(dice: Dice, invitation: &AmendmentInvitation) -> Intent {
    let AmendmentInvitation { offer, terms, offered_by, .. } = *invitation;
    let meter = terms.meter(offered_by.opposite());
    let slot = terms.key.slot.start_minute();
    if dice.roll(Question::ChangeConsent, meter.get(), slot, 3) == 0 {
        Intent::Decline { offer }
    } else {
        Intent::AcceptChange { meter, invitation: *invitation }
    }
}
