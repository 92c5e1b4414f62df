//! What meters delegated: for each meter the newest delegation, in a cache line of its own.

use types::{
    DelegateMeter, Delegation, DelegationRevoked, Event, MarketId, MeterDelegated, MeterId, Party,
    PlatformId, RejectReason, Request, RevokeDelegation, Role, Terms, Timestamp,
};

use crate::{
    engine::Engine,
    index::{at, next_index},
    matching::rejected,
    prefetch::prefetch,
};

/// The newest delegation of a meter. 64 bytes × at most 2^17 meters = 8 MiB by default, and none
/// before the first delegation.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Row {
    /// `None`: never any, or revoked.
    live: Option<Live>,
    /// Number of the last delegation or revocation; 0 before the first.
    number: u64,
}

/// A delegation as orders are compared with it.
#[derive(Debug, Clone, Copy)]
struct Live {
    /// In Wh; the largest number there is for no limit.
    quantity_max: u64,
    platform: PlatformId,
    market: MarketId,
    sides: types::Sides,
    buy_limit: types::Price,
    sell_limit: types::Price,
    valid_from: Timestamp,
    valid_until: Timestamp,
}

const _: () = assert!(size_of::<Row>() == 64, "one cache line");

const NONE: Row = Row { live: None, number: 0 };

/// See the module's description. Rows are by meter number, up to the largest that ever had one.
#[derive(Debug, Default)]
pub(crate) struct Delegations {
    rows: Vec<Row>,
    /// The delegations as signed, for digests and snapshots: not touched by orders.
    signed: Vec<Option<Delegation>>,
}

impl Delegations {
    #[inline(always)]
    fn row(&self, meter: MeterId) -> Option<&Row> {
        self.rows.get(at(meter.get()))
    }

    /// Says that an order of this meter comes.
    #[inline(always)]
    pub(crate) fn prefetch(&self, meter: MeterId) {
        if let Some(row) = self.row(meter) {
            prefetch(row);
        }
    }

    /// Whether a platform may do this for a meter at this time.
    #[inline(always)]
    pub(crate) fn allows(
        &self,
        (meter, platform): (MeterId, PlatformId),
        time: Timestamp,
        terms: &Terms,
    ) -> bool {
        let Some(Row { live: Some(live), .. }) = self.row(meter) else { return false };
        live.platform == platform
            && live.valid_from <= time
            && time <= live.valid_until
            && live.covers(terms)
    }

    /// The same, and why not.
    pub(crate) fn check(
        &self,
        of: (MeterId, PlatformId),
        time: Timestamp,
        terms: &Terms,
    ) -> Result<(), RejectReason> {
        self.check_time(of, time)?;
        let covers = self.row(of.0).and_then(|row| row.live).is_some_and(|live| live.covers(terms));
        if covers { Ok(()) } else { Err(RejectReason::DelegationExceeded) }
    }

    /// Whether a platform may do anything for a meter at this time.
    /// Rule T-94.
    pub(crate) fn check_time(
        &self,
        (meter, platform): (MeterId, PlatformId),
        time: Timestamp,
    ) -> Result<(), RejectReason> {
        let live = self.row(meter).and_then(|row| row.live);
        let live = live.filter(|live| live.platform == platform && live.valid_from <= time);
        let live = live.ok_or(RejectReason::DelegationMissing)?;
        if time > live.valid_until {
            return Err(RejectReason::DelegationExpired);
        }
        Ok(())
    }

    /// Puts a delegation in the place of the one before. Its number is above that one's, and its
    /// meter is registered.
    pub(crate) fn enter(&mut self, new: &Delegation) {
        let live = Live {
            quantity_max: match new.quantity_max.wh() {
                0 => u64::MAX,
                wh => wh,
            },
            platform: new.platform,
            market: new.market,
            sides: new.sides,
            buy_limit: new.buy_limit,
            sell_limit: new.sell_limit,
            valid_from: new.valid_from,
            valid_until: new.valid_until,
        };
        self.put(new.meter, Row { live: Some(live), number: new.number }, Some(*new));
    }

    /// Ends every delegation of a registered meter up to a number, which is not below the newest's.
    pub(crate) fn end(&mut self, meter: MeterId, number: u64) {
        self.put(meter, Row { live: None, number }, None);
    }

    fn put(&mut self, meter: MeterId, row: Row, signed: Option<Delegation>) {
        let place = at(meter.get());
        if self.rows.len() <= place {
            self.rows.resize(place + 1, NONE);
            self.signed.resize(place + 1, None);
        }
        if let (Some(old), Some(kept)) = (self.rows.get_mut(place), self.signed.get_mut(place)) {
            (*old, *kept) = (row, signed);
        }
    }

    /// The delegation of a meter as it was signed.
    fn signed(&self, meter: MeterId) -> Option<&Delegation> {
        self.signed.get(at(meter.get()))?.as_ref()
    }

    /// Number of a meter's last delegation or revocation; 0 before the first.
    fn number(&self, meter: MeterId) -> u64 {
        self.row(meter).map_or(0, |row| row.number)
    }

    /// Meters that ever had a delegation or revocation, in the order of their numbers: the last number,
    /// and the delegation if it was not revoked.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MeterId, u64, Option<&Delegation>)> {
        let rows = (0..next_index(self.rows.len())).zip(self.rows.iter().zip(&self.signed));
        rows.filter(|(_, (row, _))| row.number != 0)
            .map(|(meter, (row, signed))| (MeterId::new(meter), row.number, signed.as_ref()))
    }
}

impl Live {
    /// Rule T-95.
    #[inline(always)]
    fn covers(&self, terms: &Terms) -> bool {
        let price = match terms.side {
            types::Side::Buy => terms.worst <= self.buy_limit,
            types::Side::Sell => terms.worst >= self.sell_limit,
        };
        (self.market.get() == 0 || self.market == terms.market)
            && self.sides.has(terms.side)
            && terms.quantity.wh() <= self.quantity_max
            && price
    }
}

impl Engine {
    /// A delegation: the same one again changes nothing and is answered again.
    pub(crate) fn delegate_meter(
        &mut self,
        time: Timestamp,
        request: &DelegateMeter,
        events: &mut Vec<Event>,
    ) {
        let DelegateMeter { origin, client_order, delegation, .. } = *request;
        let before = match self.admit_delegation(time, request) {
            Ok(before) => before,
            Err(reason) => {
                return events.push(rejected(origin, client_order, Request::Delegate, reason));
            }
        };
        self.delegations.enter(&delegation);
        events.push(Event::MeterDelegated(MeterDelegated {
            origin,
            client_order,
            delegation,
            before,
        }));
    }

    /// Another platform whose delegation it ends.
    /// Rule T-96.
    fn admit_delegation(
        &self,
        time: Timestamp,
        request: &DelegateMeter,
    ) -> Result<Option<PlatformId>, RejectReason> {
        let new = &request.delegation;
        self.registry.meter(new.meter).ok_or(RejectReason::UnknownMeter)?;
        if request.origin.platform != new.platform {
            return Err(RejectReason::NotAuthorised);
        }
        let known = self.delegations.signed(new.meter);
        if known == Some(new) {
            return Ok(None);
        }
        if time > new.valid_until {
            return Err(RejectReason::DelegationExpired);
        }
        if new.number <= self.delegations.number(new.meter) {
            return Err(RejectReason::DelegationOutdated);
        }
        if new.market.get() != 0 && self.registry.market_index(new.market).is_none() {
            return Err(RejectReason::UnknownMarket);
        }
        if !self.registry.has_party(Party { role: Role::Platform, number: new.platform.get() }) {
            return Err(RejectReason::UnknownParty);
        }
        Ok(known.map(|known| known.platform).filter(|&platform| platform != new.platform))
    }

    /// The end of a meter's delegations up to a number.
    pub(crate) fn revoke_delegation(
        &mut self,
        request: &RevokeDelegation,
        events: &mut Vec<Event>,
    ) {
        let RevokeDelegation { origin, client_order, meter, number, .. } = *request;
        let holder = match self.admit_revocation(request) {
            Ok(holder) => holder,
            Err(reason) => {
                return events.push(rejected(origin, client_order, Request::Revoke, reason));
            }
        };
        self.delegations.end(meter, number);
        events.push(Event::DelegationRevoked(DelegationRevoked {
            origin,
            client_order,
            meter,
            number,
            holder,
        }));
    }

    /// The platform whose delegation it ends, if there is one.
    fn admit_revocation(
        &self,
        request: &RevokeDelegation,
    ) -> Result<Option<PlatformId>, RejectReason> {
        let RevokeDelegation { origin, meter, number, signature, .. } = *request;
        self.registry.meter(meter).ok_or(RejectReason::UnknownMeter)?;
        let known = self.delegations.signed(meter);
        if signature.is_none() {
            // A platform gives back what it holds, and no more than that.
            let held = known.filter(|known| known.platform == origin.platform);
            let held = held.ok_or(RejectReason::NotAuthorised)?;
            if number != held.number {
                return Err(RejectReason::DelegationOutdated);
            }
        }
        // The same revocation again finds none, and is answered again.
        if number < self.delegations.number(meter) || number == 0 {
            return Err(RejectReason::DelegationOutdated);
        }
        Ok(known.map(|known| known.platform))
    }
}
