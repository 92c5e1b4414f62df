//! Blocks at a payment rail: asked for before delivery, confirmed or declined by the rail.

use types::{Energy, MeterId, Money, Price, Timestamp, TradeId};

use super::{DAY_MINUTES, Pipeline, Work, agreement::Agreement, minute_of};
use crate::{
    books::accounts::{Account, AccountKind},
    capture,
    error::SettlementError,
    mechanism::{self, Cover, Leg, LegKind},
    outcome::State,
    policy::{BlockRule, Policy},
    store::debts::{self, Blocked},
};

/// What a rail said about a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRequest {
    /// For which contract.
    pub contract: TradeId,
    /// How much the rail blocked; nothing, if it declined.
    pub amount: Money,
    /// Whether the rail took it from the payer's deposits, which these books keep.
    pub from_deposits: bool,
    /// When it was asked.
    pub asked: Timestamp,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockOutcome {
    /// The money is blocked; of a contract that is worth nothing, there is none.
    Blocked,
    /// The rail declined: the contract is cancelled.
    Cancelled,
    /// The contract has had its block before. Nothing changed.
    Exists,
    /// There is no such contract.
    UnknownContract,
    /// The contract's mechanism blocks no money.
    NotBlocking,
    /// The contract is settled or cancelled.
    TooLate,
}

impl BlockOutcome {
    /// The name in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
            Self::Exists => "exists",
            Self::UnknownContract => "unknown_contract",
            Self::NotBlocking => "not_blocking",
            Self::TooLate => "too_late",
        }
    }
}

/// Where blocked money comes from, and goes when it is given free: the payer's deposits, or the rail.
pub(super) const fn source(is_deposited: bool, payer: MeterId, policy: &Policy) -> Account {
    if is_deposited {
        Account::of_meter(payer, AccountKind::Available)
    } else if policy.rail.is_some() {
        Account::ARRIVING
    } else {
        Account::EXTERNAL
    }
}

/// When a block that is asked for at `asked` is placed, in minutes: a trade beyond the hold horizon
/// asks for it late, that many days before delivery.
/// Rule S-41.
#[must_use]
pub(super) fn placed(asked: i64, delivery: i64, rule: BlockRule) -> i64 {
    let days = |days: u32| i64::from(days).saturating_mul(DAY_MINUTES);
    match rule.lead_days {
        Some(lead) if asked.saturating_add(days(rule.hold_days)) < delivery => {
            asked.max(delivery.saturating_sub(days(lead)))
        }
        Some(_) | None => asked,
    }
}

impl Pipeline {
    /// Notes what the payer's rail said about the block of a contract.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn block(&mut self, request: &BlockRequest) -> Result<BlockOutcome, SettlementError> {
        self.transact(|work| work.block(request))
    }
}

impl Work<'_> {
    fn block(&mut self, request: &BlockRequest) -> Result<BlockOutcome, SettlementError> {
        let delivery = |agreement: &Agreement| minute_of(agreement.key.slot.end());
        self.note_block(request, |agreement, rule| {
            let life = i64::from(rule.hold_days).saturating_mul(DAY_MINUTES);
            placed(minute_of(request.asked), delivery(agreement), rule).saturating_add(life)
        })
    }

    /// As [`Pipeline::block`]; `expires` says until which minute it lives.
    pub(super) fn note_block(
        &mut self,
        request: &BlockRequest,
        expires: impl FnOnce(&Agreement, BlockRule) -> i64,
    ) -> Result<BlockOutcome, SettlementError> {
        let Some(agreement) = self.agreement(request.contract)? else {
            return Ok(BlockOutcome::UnknownContract);
        };
        let cover = mechanism::rail(agreement.mechanism).cover();
        let (Cover::ByRail, Some(rule)) = (cover, self.policy.block) else {
            return Ok(BlockOutcome::NotBlocking);
        };
        if debts::block(self.connection, agreement.id)?.is_some() {
            return Ok(BlockOutcome::Exists);
        }
        if agreement.state != State::AwaitingMeterData {
            return Ok(BlockOutcome::TooLate);
        }
        if request.amount.minor() <= 0 {
            return self.decline(&agreement);
        }
        let payer = self.parties_of(&agreement)?.payer();
        let amount = request.amount.minor();
        let from = source(request.from_deposits, payer, self.policy);
        if request.from_deposits && self.posting.balance(from)? < amount {
            return self.decline(&agreement);
        }
        let to = Account::of_meter(payer, AccountKind::Escrow);
        self.post_once(agreement.id, &[Leg::new(LegKind::Block, from, to, amount)])?;
        self.add_hold(agreement.id, amount)?;
        let block = Blocked {
            expires: expires(&agreement, rule),
            is_deposited: request.from_deposits,
            is_used: false,
        };
        debts::put_block(self.connection, agreement.id, block)?;
        Ok(BlockOutcome::Blocked)
    }

    /// Ends a contract for which the rail blocked nothing, unless nothing is to be paid for it.
    pub(super) fn cancel_unfunded(&mut self, contract: TradeId) -> Result<(), SettlementError> {
        let Some(agreement) = self.agreement(contract)? else { return Ok(()) };
        self.decline(&agreement)?;
        Ok(())
    }

    fn decline(&mut self, agreement: &Agreement) -> Result<BlockOutcome, SettlementError> {
        if self.is_free(agreement.price, agreement.energy) {
            return Ok(BlockOutcome::Blocked);
        }
        self.cancel(agreement, State::CancelledUnfunded)?;
        Ok(BlockOutcome::Cancelled)
    }

    /// Whether a contract is worth nothing, so that no money has to be blocked for it.
    /// Rule S-40.
    pub(super) fn is_free(&self, price: Price, energy: Energy) -> bool {
        capture::value(price, energy, self.policy) == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s41_a_trade_beyond_the_horizon_asks_late() {
        let rule = BlockRule { hold_days: 7, lead_days: Some(2) };
        let day = |day: i64| day * DAY_MINUTES;
        assert_eq!(placed(day(-60), 0, rule), day(-2));
        assert_eq!(placed(day(-8), 0, rule), day(-2));
        assert_eq!(placed(day(-7), 0, rule), day(-7));
        assert_eq!(placed(day(-1), 0, rule), day(-1));
        let never = BlockRule { lead_days: None, ..rule };
        assert_eq!(placed(day(-60), 0, never), day(-60));
    }
}
