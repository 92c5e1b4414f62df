//! Deposits of collateral.

use types::{MeterId, Money, TradeId};

use super::{Pipeline, Work};
use crate::{
    books::{
        accounts::{Account, AccountKind},
        posting::Folio,
    },
    error::{Doing as _, SettlementError, fit},
    mechanism::{Leg, LegKind, clearing_house},
    store::database::{OptionalExtension as _, Row, params},
};

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepositOutcome {
    /// The meter's available money rose, and contracts that waited for cover may be covered now.
    Credited,
    /// The same deposit under the same reference is there already. Nothing changed.
    Exists,
    /// Another deposit under the same reference is there already. Nothing changed.
    Conflict,
    /// The meter is not registered.
    UnknownMeter,
    /// The amount is zero or negative.
    NotPositive,
    /// The reference is beyond 2^62 − 1.
    ReferenceOutOfRange,
}

impl DepositOutcome {
    /// The name in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::UnknownMeter => "unknown_meter",
            Self::NotPositive => "not_positive",
            Self::ReferenceOutOfRange => "reference_out_of_range",
        }
    }
}

impl Pipeline {
    /// Credits collateral to a meter. The same reference again changes nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn deposit(
        &mut self,
        reference: u64,
        meter: MeterId,
        amount: Money,
    ) -> Result<DepositOutcome, SettlementError> {
        self.transact(|work| work.deposit(reference, meter, amount))
    }

    /// Credits many deposits in one transaction; the answers are in their order.
    ///
    /// # Errors
    /// When the database refuses. No deposit is credited then.
    pub fn deposits(
        &mut self,
        deposits: &[(u64, MeterId, Money)],
    ) -> Result<Vec<DepositOutcome>, SettlementError> {
        self.transact(|work| {
            deposits
                .iter()
                .map(|&(reference, meter, amount)| work.deposit(reference, meter, amount))
                .collect()
        })
    }
}

impl Work<'_> {
    /// Rule S-04.
    pub(super) fn deposit(
        &mut self,
        reference: u64,
        meter: MeterId,
        amount: Money,
    ) -> Result<DepositOutcome, SettlementError> {
        // The numbers of transfers below belong to pay-outs.
        let known = i64::try_from(reference).ok().filter(|&reference| reference < 1 << 62);
        let Some(reference) = known else {
            return Ok(DepositOutcome::ReferenceOutOfRange);
        };
        if amount.minor() <= 0 {
            return Ok(DepositOutcome::NotPositive);
        }
        if self.registry.meter(meter).is_none() {
            return Ok(DepositOutcome::UnknownMeter);
        }
        let known: Option<(u32, i64)> = self
            .connection
            .prepare_cached("SELECT meter, amount FROM deposits WHERE reference = ?1")
            .and_then(|mut select| {
                select.query_row([reference], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .doing("look for a deposit")?;
        if let Some(known) = known {
            let same = known == (meter.get(), amount.minor());
            return Ok(if same { DepositOutcome::Exists } else { DepositOutcome::Conflict });
        }
        self.connection
            .prepare_cached("INSERT INTO deposits (reference, meter, amount) VALUES (?1, ?2, ?3)")
            .and_then(|mut put| put.write(params![reference, meter.get(), amount.minor()]))
            .doing("write a deposit")?;
        let to = Account::of_meter(meter, AccountKind::Available);
        let leg = Leg::new(LegKind::Deposit, Account::EXTERNAL, to, amount.minor());
        self.posting.post_deposit(reference, &leg)?;
        self.cover(meter)?;
        self.draw_for_debts(meter)?;
        Ok(DepositOutcome::Credited)
    }

    /// Holds free money for the payer's contracts that are not covered yet, the earliest first.
    pub(super) fn cover(&mut self, payer: MeterId) -> Result<(), SettlementError> {
        let rows: Vec<(i64, i64, u16, u32)> = self
            .connection
            .prepare_cached(
                "SELECT trade, uncovered, holds, folio FROM contracts
                 WHERE (CASE WHEN price < 0 THEN seller ELSE buyer END) = ?1 AND uncovered > 0
                 ORDER BY trade",
            )
            .and_then(|mut select| {
                let columns =
                    |row: Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
                select.query_map([payer.get()], columns)?.collect()
            })
            .doing("look for uncovered contracts")?;
        for (trade, uncovered, holds, minute) in rows {
            let free = self.posting.balance(Account::of_meter(payer, AccountKind::Available))?;
            let amount = uncovered.min(free);
            let Some(next) = holds.checked_add(1) else { continue };
            if amount <= 0 {
                break;
            }
            // Holds of one contract are told apart by their run: 0 at capture, then upwards.
            let contract = TradeId::new(fit(trade, "a trade number")?);
            let folio = Folio { contract, minute };
            self.posting.post(folio, next, &clearing_house::hold(payer, amount))?;
            self.connection
                .prepare_cached(
                    "UPDATE contracts SET escrowed = escrowed + ?2, uncovered = uncovered - ?2,
                     holds = ?3 WHERE trade = ?1",
                )
                .and_then(|mut update| update.write(params![trade, amount, next]))
                .doing("cover a contract")?;
        }
        Ok(())
    }
}
