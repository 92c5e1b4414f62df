//! What platforms may do for meters: one delegation of each meter at most, the newest.

use types::{
    DelegateMeter, Delegation, DelegationRevoked, Event, MarketId, MeterDelegated, MeterId,
    OrderKind, Origin, Party, PlatformId, Price, RejectReason, Request, RevokeDelegation, Role,
    Side,
};

use super::{Model, Outcome, refuse_if, requests::reject};

/// Whose key signed an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Meter,
    Platform,
}

/// What an order would do: market, side, quantity in Wh, and limit if it has one.
pub(super) type Wish = (MarketId, Side, u64, Option<Price>);

impl Model {
    pub(super) fn delegate(&mut self, request: &DelegateMeter, events: &mut Vec<Event>) {
        let DelegateMeter { origin, client_order, delegation, .. } = *request;
        let known = self.delegation(delegation.meter);
        match self.admit_delegation(origin, &delegation) {
            Ok(()) => {
                let entry = (delegation.number, Some(delegation));
                self.delegations.insert(delegation.meter, entry);
                let holder = known.map(|known| known.platform);
                let before = holder.filter(|&holder| holder != delegation.platform);
                events.push(Event::MeterDelegated(MeterDelegated {
                    origin,
                    client_order,
                    delegation,
                    before,
                }));
            }
            Err(reason) => events.push(reject(origin, client_order, Request::Delegate, reason)),
        }
    }

    pub(super) fn revoke(&mut self, request: &RevokeDelegation, events: &mut Vec<Event>) {
        let RevokeDelegation { origin, client_order, meter, number, .. } = *request;
        let holder = self.delegation(meter).map(|known| known.platform);
        match self.admit_revocation(request) {
            Ok(()) => {
                self.delegations.insert(meter, (number, None));
                events.push(Event::DelegationRevoked(DelegationRevoked {
                    origin,
                    client_order,
                    meter,
                    number,
                    holder,
                }));
            }
            Err(reason) => events.push(reject(origin, client_order, Request::Revoke, reason)),
        }
    }

    /// Whether a platform may do for a meter what it wishes; with no wish, anything at all.
    pub(super) fn check_delegation(
        &self,
        platform: PlatformId,
        meter: MeterId,
        wish: Option<Wish>,
    ) -> Outcome {
        let held = self.delegation(meter).filter(|known| known.platform == platform);
        let begun = held.filter(|held| held.valid_from <= self.last_time);
        let held = begun.ok_or(RejectReason::DelegationMissing)?;
        refuse_if(self.last_time > held.valid_until, RejectReason::DelegationExpired)?;
        let Some((market, side, quantity, limit)) = wish else { return Ok(()) };
        let elsewhere = held.market != MarketId::new(0) && held.market != market;
        let bit = match side {
            Side::Buy => 1,
            Side::Sell => 2,
        };
        let other_side = held.sides.code() & bit == 0;
        let most = held.quantity_max.wh();
        let too_much = most != 0 && quantity > most;
        let bad_price = match (side, limit) {
            (Side::Buy, Some(limit)) => limit > held.buy_limit,
            (Side::Sell, Some(limit)) => limit < held.sell_limit,
            (Side::Buy, None) => held.buy_limit != Delegation::ANY_BUY,
            (Side::Sell, None) => held.sell_limit != Delegation::ANY_SELL,
        };
        let exceeded = elsewhere || other_side || too_much || bad_price;
        refuse_if(exceeded, RejectReason::DelegationExceeded)
    }

    fn delegation(&self, meter: MeterId) -> Option<Delegation> {
        self.delegations.get(&meter).and_then(|(_, delegation)| *delegation)
    }

    fn last_number(&self, meter: MeterId) -> u64 {
        self.delegations.get(&meter).map_or(0, |(number, _)| *number)
    }

    fn admit_delegation(&self, origin: Origin, new: &Delegation) -> Outcome {
        self.find_meter(new.meter).ok_or(RejectReason::UnknownMeter)?;
        refuse_if(origin.platform != new.platform, RejectReason::NotAuthorised)?;
        if self.delegation(new.meter) == Some(*new) {
            return Ok(());
        }
        refuse_if(self.last_time > new.valid_until, RejectReason::DelegationExpired)?;
        let old = new.number <= self.last_number(new.meter);
        refuse_if(old, RejectReason::DelegationOutdated)?;
        let anywhere = new.market == MarketId::new(0);
        let known = anywhere || self.markets.contains_key(&new.market);
        refuse_if(!known, RejectReason::UnknownMarket)?;
        let platform = Party { role: Role::Platform, number: new.platform.get() };
        refuse_if(!self.parties.contains_key(&platform), RejectReason::UnknownParty)
    }

    fn admit_revocation(&self, request: &RevokeDelegation) -> Outcome {
        let RevokeDelegation { origin, meter, number, signature, .. } = *request;
        self.find_meter(meter).ok_or(RejectReason::UnknownMeter)?;
        if signature.is_none() {
            let held = self.delegation(meter).filter(|known| known.platform == origin.platform);
            let held = held.ok_or(RejectReason::NotAuthorised)?;
            refuse_if(number != held.number, RejectReason::DelegationOutdated)?;
        }
        let old = number == 0 || number < self.last_number(meter);
        refuse_if(old, RejectReason::DelegationOutdated)
    }
}

/// The limit that a delegation is asked about: none of a market order.
pub(super) fn asked_limit(kind: OrderKind, limit: Price) -> Option<Price> {
    (kind == OrderKind::Limit).then_some(limit)
}
