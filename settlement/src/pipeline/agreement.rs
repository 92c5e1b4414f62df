//! A contract as instructions and debts see it, and the small writes they share.

use types::{DeliverySlot, Energy, MarketId, MeterId, Price, SlotKey, TradeId};

use super::Work;
use crate::{
    books::posting::Folio,
    error::{Doing as _, SettlementError, fit},
    mechanism::{Leg, Parties},
    outcome::State,
    policy::Mechanism,
    store::database::{OptionalExtension as _, params},
    store::{self, signed},
};

/// A contract as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement {
    pub(super) id: TradeId,
    pub(super) key: SlotKey,
    pub(super) price: Price,
    pub(super) energy: Energy,
    pub(super) buyer: MeterId,
    pub(super) seller: MeterId,
    pub(super) escrowed: i64,
    pub(super) state: State,
    pub(super) run: u16,
    pub(super) newest_leaf: u64,
    pub(super) version: u32,
    pub(super) folio: Folio,
    pub(super) mechanism: Mechanism,
}

impl Agreement {
    /// Whether nothing of it is settled, and it is not cancelled.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::AwaitingMeterData && self.run == 0
    }
}

impl Work<'_> {
    /// The contract of this number, if it was captured.
    pub(super) fn agreement(&self, id: TradeId) -> Result<Option<Agreement>, SettlementError> {
        const DOING: &str = "look for a contract";
        let Ok(key) = signed(id.get()) else { return Ok(None) };
        let row = self
            .connection
            .prepare_cached(
                "SELECT market, start_minute, minutes, price, energy, buyer, seller, escrowed,
                 state, run, newest_leaf, version, folio, mechanism FROM contracts WHERE trade = ?1",
            )
            .and_then(|mut select| {
                select
                    .query_row([key], |row| {
                        let slot: (u16, u32, u16) = (row.get(0)?, row.get(1)?, row.get(2)?);
                        let terms: [i64; 2] = [row.get(3)?, row.get(4)?];
                        let meters: [u32; 2] = [row.get(5)?, row.get(6)?];
                        let state: (i64, u8, u16) = (row.get(7)?, row.get(8)?, row.get(9)?);
                        let kept: (i64, u32, u32, u8) =
                            (row.get(10)?, row.get(11)?, row.get(12)?, row.get(13)?);
                        Ok((slot, terms, meters, state, kept))
                    })
                    .optional()
            })
            .doing(DOING)?;
        let Some((slot, [price, energy], [buyer, seller], state, kept)) = row else {
            return Ok(None);
        };
        let (leaf, version, minute, mechanism) = kept;
        let (market, start, minutes) = slot;
        let (escrowed, state, run) = state;
        let damaged = |what: &str| SettlementError::Damaged(format!("contract {id}: {what}"));
        Ok(Some(Agreement {
            id,
            key: SlotKey {
                market: MarketId::new(market),
                slot: DeliverySlot::new(start, minutes).map_err(|_| damaged("slot"))?,
            },
            price: Price::from_micros(price),
            energy: Energy::from_wh(fit(energy, "an energy")?),
            buyer: MeterId::new(buyer),
            seller: MeterId::new(seller),
            escrowed,
            state: State::from_code(state).ok_or_else(|| damaged("state"))?,
            run,
            newest_leaf: fit(leaf, "a leaf index")?,
            version,
            folio: Folio { contract: id, minute },
            mechanism: Mechanism::from_code(mechanism).ok_or_else(|| damaged("mechanism"))?,
        }))
    }

    /// Who pays whom, by the registry of today.
    pub(super) fn parties(
        &self,
        contract: TradeId,
        (buyer, seller): (MeterId, MeterId),
        price: Price,
    ) -> Result<Parties, SettlementError> {
        let meter = |meter| {
            let unknown = SettlementError::UnknownMeter { trade: contract, meter };
            self.registry.meter(meter).ok_or(unknown)
        };
        let (buys, sells) = (meter(buyer)?, meter(seller)?);
        Ok(Parties {
            buyer,
            seller,
            buyer_retailer: buys.retailer,
            seller_retailer: sells.retailer,
            seller_utility: sells.utility,
            seller_platform: sells.platform,
            price,
        })
    }

    /// Where the transfers of a contract lie that was captured.
    pub(super) fn folio(&self, contract: TradeId) -> Result<Folio, SettlementError> {
        store::captured::folio(self.connection, contract)?
            .ok_or_else(|| SettlementError::Damaged(format!("contract {contract} is missing")))
    }

    /// The parties of an agreement.
    pub(super) fn parties_of(&self, agreement: &Agreement) -> Result<Parties, SettlementError> {
        let meters = (agreement.buyer, agreement.seller);
        self.parties(agreement.id, meters, agreement.price)
    }

    /// Posts legs that belong to no settlement run, under the next number of their contract.
    pub(super) fn post_once(
        &mut self,
        contract: TradeId,
        legs: &[Leg],
    ) -> Result<(), SettlementError> {
        if legs.is_empty() {
            return Ok(());
        }
        let (serial, minute): (u16, u32) = self
            .connection
            .prepare_cached(
                "UPDATE contracts SET holds = holds + 1 WHERE trade = ?1 RETURNING holds, folio",
            )
            .and_then(|mut update| {
                update.query_row([signed(contract.get()).unwrap_or(-1)], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
            })
            .doing("number a transfer")?;
        for leg in legs {
            self.posting.post(Folio { contract, minute }, serial, leg)?;
        }
        Ok(())
    }

    /// Sets what is held for a contract, and what of it is still missing.
    pub(super) fn set_hold(
        &self,
        contract: TradeId,
        escrowed: i64,
        uncovered: i64,
    ) -> Result<(), SettlementError> {
        self.connection
            .prepare_cached("UPDATE contracts SET escrowed = ?2, uncovered = ?3 WHERE trade = ?1")
            .and_then(|mut update| {
                update.write(params![signed(contract.get()).unwrap_or(-1), escrowed, uncovered])
            })
            .doing("write a hold")?;
        Ok(())
    }

    /// Adds to what is held for a contract.
    pub(super) fn add_hold(&self, contract: TradeId, by: i64) -> Result<(), SettlementError> {
        self.connection
            .prepare_cached("UPDATE contracts SET escrowed = escrowed + ?2 WHERE trade = ?1")
            .and_then(|mut update| update.write(params![signed(contract.get()).unwrap_or(-1), by]))
            .doing("write a hold")?;
        Ok(())
    }
}
