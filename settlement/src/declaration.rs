//! The retailers' question: which energy of this meter and period is traded between prosumers?
//!
//! Pending contracts are part of the answer; what a retailer may not bill is the settled energy.
//! Prices are none of a retailer's concern, and no part of the answer.

use types::{
    DeliverySlot, Energy, MarketId, MeterId, Party, Role, Side, SlotKey, Timestamp, TradeId,
};

use crate::{
    error::{Doing as _, SettlementError, fit},
    outcome::State,
    pipeline::Pipeline,
    store::database::{DatabaseError, Row, params},
};

/// Most rows of one answer: a year of quarter hours with two contracts each is 70,080.
pub const ANSWER_ROWS_MAX: u32 = 100_000;

/// One contract of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P2pEnergy {
    /// The contract.
    pub contract: TradeId,
    /// When it is delivered.
    pub key: SlotKey,
    /// Whether the meter buys or sells.
    pub side: Side,
    /// The meter on the other side.
    pub counterparty: MeterId,
    /// Where the contract stands.
    pub state: State,
    /// The settlement run this is from; 0 before the first.
    pub run: u16,
    /// What was contracted.
    pub contracted: Energy,
    /// Contracted and not decided yet.
    pub pending: Energy,
    /// Delivered and taken: what the retailer may not bill.
    pub settled: Energy,
}

impl Pipeline {
    /// The contracts of `meter` with delivery that begins from `from` up to, not including, `to`,
    /// in order of delivery. Without prices, whoever asks.
    /// Rule S-57.
    ///
    /// # Errors
    /// When there are more than [`ANSWER_ROWS_MAX`], or the database refuses.
    pub fn p2p_energy(
        &self,
        meter: MeterId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<P2pEnergy>, SettlementError> {
        const DOING: &str = "look for a meter's contracts";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT c.trade, c.market, c.start_minute, c.minutes, m.side, c.buyer, c.seller,
                 c.state, c.run, c.energy, c.settled
                 FROM meter_contracts m JOIN contracts c USING (trade)
                 WHERE m.meter = ?1 AND m.start_minute >= ?2 AND m.start_minute < ?3
                 ORDER BY m.start_minute, m.trade LIMIT ?4",
            )
            .doing(DOING)?;
        let limit = ANSWER_ROWS_MAX.saturating_add(1);
        let period = params![meter.get(), minute_from(from), minute_from(to), limit];
        let mut found = select.query(period).doing(DOING)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            rows.push(read_row(row).doing(DOING)??);
        }
        if u32::try_from(rows.len()).is_ok_and(|rows| rows <= ANSWER_ROWS_MAX) {
            Ok(rows)
        } else {
            Err(SettlementError::TooManyRows { limit: ANSWER_ROWS_MAX })
        }
    }

    /// Whether there is such a meter.
    #[must_use]
    pub fn knows_meter(&self, meter: MeterId) -> bool {
        self.registry().meter(meter).is_some()
    }

    /// Whether somebody signs documents as this party.
    #[must_use]
    pub fn knows_party(&self, party: Party) -> bool {
        self.registry().signer(party).is_some()
    }

    /// Whether a party may ask about a meter: the retailer that serves it, the utility whose wires
    /// it hangs on, its platform, and the operator.
    #[must_use]
    pub fn may_ask(&self, asker: Party, meter: MeterId) -> bool {
        let Some(meter) = self.registry().meter(meter) else { return false };
        match asker.role {
            Role::Retailer => self.registry().ever_served(meter, asker),
            Role::Utility => meter.utility.get() == asker.number,
            Role::Platform => meter.platform.get() == asker.number,
            Role::Operator | Role::Settlement => true,
        }
    }
}

/// What of a contract is not decided yet. A dispute after finality leaves what was settled before.
pub(crate) fn pending(state: State, contracted: Energy, settled: Energy) -> Energy {
    let is_open =
        state == State::AwaitingMeterData || (state == State::Disputed && settled.is_zero());
    if is_open { contracted } else { Energy::ZERO }
}

/// The first whole minute at or after an instant.
fn minute_from(instant: Timestamp) -> i64 {
    const MINUTE_NS: i64 = 60_000_000_000;
    let minute = instant.ns().div_euclid(MINUTE_NS);
    minute.saturating_add(i64::from(instant.ns().rem_euclid(MINUTE_NS) > 0))
}

fn read_row(row: Row<'_>) -> Result<Result<P2pEnergy, SettlementError>, DatabaseError> {
    let (trade, energy, settled): (i64, i64, i64) = (row.get(0)?, row.get(9)?, row.get(10)?);
    let (start, minutes): (u32, u16) = (row.get(2)?, row.get(3)?);
    let (side, state): (u8, u8) = (row.get(4)?, row.get(7)?);
    let market = MarketId::new(row.get(1)?);
    let (buyer, seller) = (MeterId::new(row.get(5)?), MeterId::new(row.get(6)?));
    let run = row.get(8)?;
    Ok((|| {
        let damaged = |what: &str| SettlementError::Damaged(format!("contract {trade}: {what}"));
        let slot = DeliverySlot::new(start, minutes).map_err(|_| damaged("slot"))?;
        let side = Side::from_code(side).ok_or_else(|| damaged("side"))?;
        let state = State::from_code(state).ok_or_else(|| damaged("state"))?;
        let contracted = Energy::from_wh(fit(energy, "an energy")?);
        let settled = Energy::from_wh(fit(settled, "an energy")?);
        Ok(P2pEnergy {
            contract: TradeId::new(fit(trade, "a trade number")?),
            key: SlotKey { market, slot },
            side,
            counterparty: if side == Side::Buy { seller } else { buyer },
            state,
            run,
            contracted,
            pending: pending(state, contracted, settled),
            settled,
        })
    })())
}
