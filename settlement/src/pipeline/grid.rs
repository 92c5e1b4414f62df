//! What utilities see and say: the schedule of their wires, limits, curtailments of places, where
//! meters hang; and the notices that both sides of a contract get.

use std::collections::BTreeMap;

use types::{
    DeliverySlot, Energy, MeterId, Party, RejectReason, Role, Seq, ShardId, Side, Timestamp,
    TradeId, UtilityId,
};

use super::{
    Pipeline, Work,
    amending::{AMENDED_IN_VAIN, BUSTED},
    ingesting::{Arrival, Tally},
};
use crate::{
    allocation::{self, Metered, Position},
    error::{Doing as _, SettlementError, fit},
    metering::{
        self, DocumentReject, GridLimit, Key, MeterCodes, MeterPoints, Receipt, Verdict,
        ZoneCurtailment,
    },
    outcome::State,
    policy::Method,
    registry::{Place, PlaceName},
    store::database::{Row, params},
    store::{
        grid::{self as rows, ScheduleKey},
        intake,
    },
};

/// Most lines of one answer: 500 feeders over a day of quarter hours are 48,000.
pub(super) const SCHEDULE_LINES_MAX: u32 = 50_000;

/// Most notices of one answer.
pub(super) const NOTICES_MAX: usize = 10_000;

/// Which part of the schedule is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ScheduleFilter {
    /// Of whose wires.
    pub utility: UtilityId,
    /// Of one zone; of all, if none is named.
    pub zone: Option<PlaceName>,
    /// Of one feeder; of all, if none is named.
    pub feeder: Option<PlaceName>,
    /// First instant of delivery.
    pub from: Timestamp,
    /// First instant after the period.
    pub to: Timestamp,
    /// Only what changed after this number of the schedule; 0 is everything.
    pub after: u64,
}

/// What is scheduled at a place in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleLine {
    /// The zone, or empty for meters of which nobody said where they hang.
    pub zone: String,
    /// The feeder, likewise.
    pub feeder: String,
    /// When.
    pub slot: DeliverySlot,
    /// Sold by meters there.
    pub injection: Energy,
    /// Bought by meters there.
    pub withdrawal: Energy,
    /// Sides of contracts in it.
    pub contracts: u64,
    /// What the limits on injection of the feeder and its zone leave.
    pub injection_limit: Option<ScheduleLimit>,
    /// What those on withdrawal leave.
    pub withdrawal_limit: Option<ScheduleLimit>,
}

/// Limits of a feeder and its zone, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleLimit {
    /// The lower of the two.
    pub limit: Energy,
    /// The most that contracts on the feeder can still grow by: open orders use it too.
    pub headroom: Energy,
    /// Whether the exchange refuses what exceeds them; it does since it answered.
    pub in_force: bool,
}

/// An answer about the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleAnswer {
    /// The number of the schedule: ask for what changed after it.
    pub serial: u64,
    /// In order of zone, time and feeder.
    pub lines: Vec<ScheduleLine>,
}

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// Both sides agreed on the contract between themselves.
    Negotiated,
    /// A curtailment leaves it less.
    Curtailed,
    /// Both sides changed it before its gate: it has this version.
    Amended(u32),
    /// Both sides changed it, but it was settled or cancelled by then: it stays as it was.
    AmendedInVain,
    /// The exchange undid the trade.
    Busted,
    /// A limit of the utility is in force, or was refused.
    Limit,
}

/// What became of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitNotice {
    /// Where.
    pub zone: PlaceName,
    /// Which feeder of it; all, if none is named.
    pub feeder: Option<PlaceName>,
    /// In force since this position of a shard, or refused.
    pub since: Result<(ShardId, Seq), RejectReason>,
}

/// What both sides of a contract are told, or a utility of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// Its number; numbers rise.
    pub number: u64,
    /// What it says.
    pub kind: NoticeKind,
    /// Which contract; 0 of a limit.
    pub contract: TradeId,
    /// Its slot, by its newest version.
    pub slot: DeliverySlot,
    /// The curtailed side; the seller's of a new contract, the one that asked for a change; the limited one.
    pub side: Side,
    /// Its meter; 0 of a limit.
    pub meter: MeterId,
    /// What is contracted, by its newest version; what was open and traded when a limit came into force.
    pub contracted: Energy,
    /// The most it may still move; what the change says; the limit.
    pub allowed: Energy,
    /// What became of a limit.
    pub limit: Option<LimitNotice>,
}

/// A contract's side in a curtailed place.
struct Exposed {
    trade: TradeId,
    meter: MeterId,
    energy: Energy,
}

impl Work<'_> {
    /// Adds energy (or takes it away) where both meters of a contract hang.
    pub(super) fn schedule_contract(
        &mut self,
        (buyer, seller): (MeterId, MeterId),
        slot: DeliverySlot,
        wh: i64,
        contracts: i64,
    ) {
        for (meter, side) in [(buyer, Side::Buy), (seller, Side::Sell)] {
            if let Some(known) = self.registry.meter(meter) {
                let place = self.registry.place_at(known, slot.start_minute());
                self.schedule_side(place, slot, (side, wh, contracts));
            }
        }
    }

    fn schedule_side(
        &mut self,
        place: Place,
        slot: DeliverySlot,
        (side, wh, contracts): (Side, i64, i64),
    ) {
        let change = self.schedule.entry(ScheduleKey { place, slot }).or_default();
        match side {
            Side::Buy => change.withdrawal = change.withdrawal.saturating_add(wh),
            Side::Sell => change.injection = change.injection.saturating_add(wh),
        }
        change.contracts = change.contracts.saturating_add(contracts);
    }

    pub(super) fn take_points(
        &mut self,
        points: &MeterPoints,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let mut tally = Tally::default();
        let mut verdicts = Vec::with_capacity(points.points.len());
        for (meter, point) in &points.points {
            let stored = rows::points(self.connection, *meter, point.from_minute)?;
            let verdict = metering::judge(&stored, points.revision, point);
            tally.count(verdict);
            verdicts.push(verdict);
        }
        let document = self.keep_document(arrival)?;
        if !tally.contradicts() {
            for ((meter, point), verdict) in points.points.iter().zip(verdicts) {
                if matches!(verdict, Verdict::New | Verdict::Late) {
                    let key = (*meter, points.revision, document);
                    rows::put_point(self.connection, key, point)?;
                }
                if verdict == Verdict::New {
                    self.move_meter(*meter, point.from_minute, |registry| {
                        registry.add_point(*meter, *point);
                    })?;
                    self.tell_place(*meter, points.revision, point)?;
                }
            }
        }
        self.answer(&tally, arrival, document)
    }

    /// Changes where a meter hangs, and takes its contracts there.
    fn move_meter(
        &mut self,
        meter: MeterId,
        from_minute: u32,
        change: impl FnOnce(&mut crate::registry::Registry),
    ) -> Result<(), SettlementError> {
        const DOING: &str = "move a meter's contracts";
        let Some(known) = self.registry.meter(meter).copied() else { return Ok(()) };
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT c.start_minute, c.minutes, m.side, c.energy, c.state FROM meter_contracts m
                 JOIN contracts c USING (trade) WHERE m.meter = ?1 AND m.start_minute >= ?2
                 ORDER BY m.start_minute, m.trade, m.side",
            )
            .doing(DOING)?;
        let mut found = select.query(params![meter.get(), from_minute]).doing(DOING)?;
        let mut own = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let (start, minutes) = (row.get(0).doing(DOING)?, row.get(1).doing(DOING)?);
            let side: u8 = row.get(2).doing(DOING)?;
            let side = if side == Side::Buy.code() { Side::Buy } else { Side::Sell };
            let state = State::from_code(row.get(4).doing(DOING)?);
            if state.is_some_and(State::is_cancelled) {
                continue;
            }
            own.push((slot_of(start, minutes)?, side, row.get::<i64>(3).doing(DOING)?));
        }
        let place_of = |registry: &crate::registry::Registry, slot: DeliverySlot| {
            registry.place_at(&known, slot.start_minute())
        };
        let before: Vec<Place> =
            own.iter().map(|(slot, ..)| place_of(self.registry, *slot)).collect();
        change(self.registry);
        for ((slot, side, wh), before) in own.into_iter().zip(before) {
            let after = place_of(self.registry, slot);
            if before != after {
                self.schedule_side(before, slot, (side, wh.saturating_neg(), -1));
                self.schedule_side(after, slot, (side, wh, 1));
            }
        }
        Ok(())
    }

    pub(super) fn take_codes(
        &mut self,
        codes: &MeterCodes,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let mut tally = Tally::default();
        let document = self.keep_document(arrival)?;
        for (meter, code) in &codes.codes {
            let is_known = self.registry.given_code(arrival.signer, *code).is_some();
            tally.count(if is_known { Verdict::Known } else { Verdict::New });
            rows::put_code(self.connection, arrival.signer, (*meter, code), document)?;
            self.registry.add_code(arrival.signer, *code, *meter);
        }
        self.answer(&tally, arrival, document)
    }

    pub(super) fn take_limit(
        &mut self,
        limit: &GridLimit,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let utility = UtilityId::new(arrival.signer.number);
        if !self.has_meters(utility, limit.zone, limit.feeder, limit.slot) {
            return Ok(Receipt { result: Err(DocumentReject::UnknownZone), ..arrival.receipt });
        }
        let stored = rows::limits(self.connection, utility, limit)?;
        let verdict = metering::judge(&stored, limit.revision, &limit.limit);
        let mut tally = Tally::default();
        tally.count(verdict);
        let document = self.keep_document(arrival)?;
        if matches!(verdict, Verdict::New | Verdict::Late) {
            rows::put_limit(self.connection, utility, limit, document)?;
        }
        if verdict == Verdict::New {
            self.tell_limit(utility, limit)?;
        }
        self.answer(&tally, arrival, document)
    }

    fn has_meters(
        &self,
        utility: UtilityId,
        zone: PlaceName,
        feeder: Option<PlaceName>,
        slot: DeliverySlot,
    ) -> bool {
        self.registry.meters().any(|meter| {
            let place = self.registry.place_at(meter, slot.start_minute());
            is_within(&place, utility, zone, feeder)
        })
    }

    /// Shares what a curtailment leaves a place among the contracts there are, pro rata. What is
    /// traded later in the place knew of it, and is not excused by it.
    pub(super) fn take_zone_curtailment(
        &mut self,
        curtailment: &ZoneCurtailment,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let utility = UtilityId::new(arrival.signer.number);
        let ZoneCurtailment { zone, feeder, slot, side, .. } = *curtailment;
        if !self.has_meters(utility, zone, feeder, slot) {
            return Ok(Receipt { result: Err(DocumentReject::UnknownZone), ..arrival.receipt });
        }
        let reason = intake::reason_code(curtailment.reason);
        let stored = rows::zone_curtailments(self.connection, utility, curtailment)?;
        let content = (curtailment.cap, reason);
        let verdict = metering::judge(&stored, curtailment.revision, &content);
        let mut tally = Tally::default();
        tally.count(verdict);
        let document = self.keep_document(arrival)?;
        if matches!(verdict, Verdict::New | Verdict::Late) {
            let is_newest = verdict == Verdict::New;
            let more = (reason, is_newest, document);
            let source = rows::put_zone_curtailment(self.connection, utility, curtailment, more)?;
            if is_newest {
                let exposed =
                    self.exposed(slot, side, |place| is_within(place, utility, zone, feeder))?;
                self.share_cap(curtailment, &exposed, (source, document))?;
                intake::touch_slots(self.connection, slot)?;
            }
        }
        self.answer(&tally, arrival, document)
    }

    /// Rule S-26.
    fn share_cap(
        &self,
        curtailment: &ZoneCurtailment,
        exposed: &[Exposed],
        (source, document): (i64, i64),
    ) -> Result<(), SettlementError> {
        let weights: Vec<(TradeId, u64)> =
            exposed.iter().map(|one| (one.trade, one.energy.wh())).collect();
        let total: u128 = weights.iter().map(|&(_, wh)| u128::from(wh)).sum();
        let cap = u128::from(curtailment.cap.wh());
        if cap >= total {
            return Ok(());
        }
        let mut of_meter: BTreeMap<MeterId, u64> = BTreeMap::new();
        for (one, part) in exposed.iter().zip(allocation::largest_remainder(&weights, cap)) {
            let sum = of_meter.entry(one.meter).or_default();
            *sum = sum.saturating_add(part);
            let allowed = (curtailment.side, Energy::from_wh(part));
            rows::put_notice(self.connection, one.trade, allowed, document)?;
        }
        for (meter, wh) in of_meter {
            let cap = (meter, Energy::from_wh(wh));
            rows::put_curtailed_meter(self.connection, curtailment.slot, source, cap)?;
        }
        Ok(())
    }

    /// The sides of contracts in a slot whose meters hang at a place.
    fn exposed(
        &self,
        slot: DeliverySlot,
        side: Side,
        is_there: impl Fn(&Place) -> bool,
    ) -> Result<Vec<Exposed>, SettlementError> {
        const DOING: &str = "look for curtailed contracts";
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT trade, energy, buyer, seller, state FROM contracts
                 WHERE start_minute = ?1 AND minutes = ?2 ORDER BY trade",
            )
            .doing(DOING)?;
        let mut found = select.query(params![slot.start_minute(), slot.minutes()]).doing(DOING)?;
        let mut exposed = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let column = match side {
                Side::Buy => 2,
                Side::Sell => 3,
            };
            let meter = MeterId::new(row.get(column).doing(DOING)?);
            let state = State::from_code(row.get(4).doing(DOING)?);
            let Some(known) = self.registry.meter(meter) else { continue };
            let place = self.registry.place_at(known, slot.start_minute());
            if state.is_some_and(State::is_cancelled) || !is_there(&place) {
                continue;
            }
            let trade = TradeId::new(fit(row.get::<i64>(0).doing(DOING)?, "a trade number")?);
            let wh = fit(row.get::<i64>(1).doing(DOING)?, "an energy")?;
            exposed.push(Exposed { trade, meter, energy: Energy::from_wh(wh) });
        }
        Ok(exposed)
    }

    /// Tells the other sides of a curtailed meter's contracts what the cap leaves of each.
    pub(super) fn tell_of_meter(
        &self,
        Key { meter, slot }: Key,
        cap: Energy,
        document: i64,
    ) -> Result<(), SettlementError> {
        let mut positions = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let own = self.exposed(slot, side, |_| true)?;
            positions.extend(
                own.into_iter().filter(|one| one.meter == meter).map(|one| Position {
                    contract: one.trade,
                    side,
                    energy: one.energy,
                }),
            );
        }
        let Some(side) = allocation::net_side(&positions) else { return Ok(()) };
        let metered = match side {
            Side::Buy => Metered { injected: Energy::ZERO, withdrawn: cap },
            Side::Sell => Metered { injected: cap, withdrawn: Energy::ZERO },
        };
        let shares = allocation::allocate(&positions, metered, None, Method::ProRata);
        for (position, share) in positions.iter().zip(shares) {
            if position.side == side && share.allocated < position.energy {
                let allowed = (side, share.allocated);
                rows::put_notice(self.connection, position.contract, allowed, document)?;
            }
        }
        Ok(())
    }
}

fn is_within(
    place: &Place,
    utility: UtilityId,
    zone: PlaceName,
    feeder: Option<PlaceName>,
) -> bool {
    place.utility == utility
        && place.zone == Some(zone)
        && (feeder.is_none() || place.feeder == feeder)
}

pub(super) fn slot_of(start: u32, minutes: u16) -> Result<DeliverySlot, SettlementError> {
    DeliverySlot::new(start, minutes).map_err(|error| SettlementError::Damaged(error.to_string()))
}

/// What a notice says, by what stands as its document.
pub(crate) fn kind_of(document: i64) -> Result<NoticeKind, SettlementError> {
    Ok(match document {
        1.. => NoticeKind::Curtailed,
        0 => NoticeKind::Negotiated,
        AMENDED_IN_VAIN => NoticeKind::AmendedInVain,
        BUSTED => NoticeKind::Busted,
        version => NoticeKind::Amended(fit(version.unsigned_abs(), "a version")?),
    })
}

impl Pipeline {
    /// What is contracted at the places of a utility, by slot, with the limits that hold there.
    ///
    /// # Errors
    /// When there are more than `SCHEDULE_LINES_MAX` lines, or the database refuses.
    pub fn schedule(&self, filter: &ScheduleFilter) -> Result<ScheduleAnswer, SettlementError> {
        const DOING: &str = "read the schedule";
        let serial = rows::schedule_serial(self.connection())?;
        // With a zone the key leads to its slots, otherwise through all of the utility's.
        let sql = if filter.zone.is_some() {
            "SELECT zone, feeder, start_minute, minutes, injection, withdrawal, contracts
             FROM schedule WHERE utility = ?1 AND zone = ?2 AND start_minute >= ?3
             AND start_minute < ?4 AND changed > ?5 AND (?6 = '' OR feeder = ?6)
             ORDER BY zone, start_minute, feeder, minutes LIMIT ?7"
        } else {
            "SELECT zone, feeder, start_minute, minutes, injection, withdrawal, contracts
             FROM schedule WHERE utility = ?1 AND ?2 = '' AND start_minute >= ?3
             AND start_minute < ?4 AND changed > ?5 AND (?6 = '' OR feeder = ?6)
             ORDER BY zone, start_minute, feeder, minutes LIMIT ?7"
        };
        let mut select = self.connection().prepare_cached(sql).doing(DOING)?;
        let after = i64::try_from(filter.after).unwrap_or(i64::MAX);
        let key = params![
            filter.utility.get(),
            rows::name_text(filter.zone.as_ref()),
            minute_from(filter.from),
            minute_from(filter.to),
            after,
            rows::name_text(filter.feeder.as_ref()),
            SCHEDULE_LINES_MAX.saturating_add(1)
        ];
        let limits = self.limits(filter)?;
        let mut found = select.query(key).doing(DOING)?;
        let mut lines = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let (start, minutes) = (row.get(2).doing(DOING)?, row.get(3).doing(DOING)?);
            let wh = |column: usize| -> Result<u64, SettlementError> {
                fit(row.get::<i64>(column).doing(DOING)?, "a scheduled energy")
            };
            let (zone, feeder): (String, String) =
                (row.get(0).doing(DOING)?, row.get(1).doing(DOING)?);
            let (injection, withdrawal) = (wh(4)?, wh(5)?);
            let limit =
                |side, scheduled| limits.of((&zone, &feeder), (start, minutes), (side, scheduled));
            let injection_limit = limit(Side::Sell, injection);
            let withdrawal_limit = limit(Side::Buy, withdrawal);
            lines.push(ScheduleLine {
                injection_limit,
                withdrawal_limit,
                zone,
                feeder,
                slot: slot_of(start, minutes)?,
                injection: Energy::from_wh(injection),
                withdrawal: Energy::from_wh(withdrawal),
                contracts: wh(6)?,
            });
        }
        if lines.len() > usize::try_from(SCHEDULE_LINES_MAX).unwrap_or(usize::MAX) {
            return Err(SettlementError::TooManyRows { limit: SCHEDULE_LINES_MAX });
        }
        Ok(ScheduleAnswer { serial: fit(serial, "the number of the schedule")?, lines })
    }

    /// Notices of the grid and of agreements after a number that concern a party: its platform's, its
    /// retailer's or its utility's meters, or its limits; an operator's are all. What the ledger adds has
    /// numbers between them: [`crate::store::queries::Queries::notices`] has both.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn notices(&self, party: Party, after: u64) -> Result<Vec<Notice>, SettlementError> {
        const DOING: &str = "read the notices";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT n.notice, n.trade, c.start_minute, c.minutes, n.side, c.buyer, c.seller,
                 c.energy, n.allowed, n.document FROM notices n LEFT JOIN contracts c USING (trade)
                 WHERE n.notice > ?1 AND (n.trade > 0 OR n.document > 0) ORDER BY n.notice",
            )
            .doing(DOING)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut found = select.query([after]).doing(DOING)?;
        let mut notices = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let notice = if row.get::<i64>(1).doing(DOING)? == 0 {
                let number = fit(row.get::<i64>(0).doing(DOING)?, "a notice")?;
                self.limit_notice(number, row.get(9).doing(DOING)?, party)?
            } else {
                self.contract_notice(row, party)?
            };
            notices.extend(notice);
            if notices.len() >= NOTICES_MAX {
                break;
            }
        }
        Ok(notices)
    }

    /// What a party is told of a contract, if it is concerned.
    fn contract_notice(
        &self,
        row: Row<'_>,
        party: Party,
    ) -> Result<Option<Notice>, SettlementError> {
        const DOING: &str = "read a notice";
        let number = |column: usize| -> Result<u64, SettlementError> {
            fit(row.get::<i64>(column).doing(DOING)?, "a notice")
        };
        let buyer = MeterId::new(row.get(5).doing(DOING)?);
        let seller = MeterId::new(row.get(6).doing(DOING)?);
        if !self.concerns(party, buyer) && !self.concerns(party, seller) {
            return Ok(None);
        }
        let code: u8 = row.get(4).doing(DOING)?;
        let (side, meter) =
            if code == Side::Buy.code() { (Side::Buy, buyer) } else { (Side::Sell, seller) };
        let kind = kind_of(row.get(9).doing(DOING)?)?;
        Ok(Some(Notice {
            number: number(0)?,
            kind,
            contract: TradeId::new(number(1)?),
            slot: slot_of(row.get(2).doing(DOING)?, row.get(3).doing(DOING)?)?,
            side,
            meter,
            contracted: Energy::from_wh(number(7)?),
            allowed: Energy::from_wh(number(8)?),
            limit: None,
        }))
    }

    fn concerns(&self, party: Party, meter: MeterId) -> bool {
        let Some(meter) = self.registry().meter(meter) else { return false };
        match party.role {
            Role::Platform => meter.platform.get() == party.number,
            Role::Retailer => self.registry().ever_served(meter, party),
            Role::Utility => meter.utility.get() == party.number,
            Role::Operator | Role::Settlement => true,
        }
    }
}

/// Rounded up: a slot that begins within the minute begins after it.
pub(super) fn minute_from(instant: Timestamp) -> i64 {
    const MINUTE_NS: i64 = 60_000_000_000;
    let whole = instant.ns().div_euclid(MINUTE_NS);
    whole.saturating_add(i64::from(instant.ns().rem_euclid(MINUTE_NS) > 0))
}
