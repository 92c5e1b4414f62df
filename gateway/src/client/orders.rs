//! What became of orders: reports folded into states, in the words of FIX.

use std::collections::BTreeMap;

use types::{ClientOrderId, Energy, MeterId, Notional, OrderId, Price, Seq, Side, TradeId};
use wire::{
    Outbound,
    outbound::{ExecType, ExecutionReport},
};

/// Where an order stands (FIX `OrdStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    /// Open, and nothing of it filled.
    New,
    /// Open, and a part of it filled.
    PartiallyFilled,
    /// Hibernates: out of its book, and all that is open stays reserved.
    Suspended,
    /// Filled whole.
    Filled,
    /// Cancelled; what had not filled never will.
    Cancelled,
    /// Its gate closed or its last instant passed.
    Expired,
    /// Nothing is open of it. How it ended was not told: a `Status` says only that it did.
    Ended,
}

impl OrderStatus {
    /// Whether something can still become of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::New | Self::PartiallyFilled | Self::Suspended => true,
            Self::Filled | Self::Cancelled | Self::Expired | Self::Ended => false,
        }
    }
}

/// Where a report stands among those of its order. Of one command an order is first told what the
/// command made of it, then its trades by rising number, then its end, then where it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    seq: Seq,
    step: u8,
    trade: TradeId,
}

/// An order as its reports tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderState {
    /// The exchange's number (`OrderID`).
    pub order: OrderId,
    /// The platform's number (`ClOrdID`); `None` while no report said it for certain.
    pub client_order: Option<ClientOrderId>,
    /// For whom, once it was told.
    pub meter: Option<MeterId>,
    /// Buy or sell, once it was told.
    pub side: Option<Side>,
    /// Worst acceptable price, once it was told (`Price`); 0 in a market order.
    pub limit: Option<Price>,
    /// Where it stands (`OrdStatus`).
    pub status: OrderStatus,
    /// Filled in all (`CumQty`). Of an order that is known from the middle on: since then, until a
    /// `Status` tells.
    pub cumulative: Energy,
    /// Open (`LeavesQty`); zero once it has ended.
    pub leaves: Energy,
    /// Of the last fill (`LastQty`); zero before the first.
    pub last_quantity: Energy,
    /// Of the last fill (`LastPx`); zero before the first.
    pub last_price: Price,
    /// What the fills that were told add up to.
    told: Energy,
    /// Its acceptance was told, and so was every fill up to `told`.
    is_whole: bool,
    value: Notional,
    position: Position,
}

impl OrderState {
    const fn unknown(order: OrderId) -> Self {
        Self {
            order,
            client_order: None,
            meter: None,
            side: None,
            limit: None,
            status: OrderStatus::New,
            cumulative: Energy::ZERO,
            leaves: Energy::ZERO,
            last_quantity: Energy::ZERO,
            last_price: Price::from_micros(0),
            told: Energy::ZERO,
            is_whole: false,
            value: Notional::ZERO,
            position: Position { seq: Seq::ZERO, step: 0, trade: TradeId::new(0) },
        }
    }

    /// The mean price of all fills (`AvgPx`), weighted by energy and rounded down; `None` before the
    /// first fill, and where not every fill was told.
    #[must_use]
    pub fn average_price(&self) -> Option<Price> {
        if !self.is_whole || self.told != self.cumulative {
            return None;
        }
        let micros = self.value.nanos().checked_div_euclid(self.told.wh().into())?;
        i64::try_from(micros).ok().map(Price::from_micros)
    }

    /// Open, as far as fills tell.
    const fn open(&self) -> OrderStatus {
        if self.cumulative.is_zero() { OrderStatus::New } else { OrderStatus::PartiallyFilled }
    }

    fn end(&mut self, status: OrderStatus) {
        self.status = status;
        self.leaves = Energy::ZERO;
    }

    fn fill(&mut self, report: &ExecutionReport) {
        let sum = |so_far: Energy| so_far.checked_add(report.quantity).unwrap_or(so_far);
        (self.cumulative, self.told) = (sum(self.cumulative), sum(self.told));
        let value = self.value.checked_add(report.price.notional(report.quantity));
        self.value = value.unwrap_or(self.value);
        (self.last_quantity, self.last_price) = (report.quantity, report.price);
        self.client_order = Some(report.client_order);
        self.leaves = report.leaves;
        self.status = if report.leaves.is_zero() { OrderStatus::Filled } else { self.open() };
    }

    /// Where the exchange says that it stands. What is known already stays as it was told.
    fn restate(&mut self, report: &ExecutionReport, is_first: bool) {
        if !is_first && (self.cumulative, self.leaves) == (report.quantity, report.leaves) {
            return;
        }
        (self.cumulative, self.leaves) = (report.quantity, report.leaves);
        self.status = if report.leaves.is_zero() { OrderStatus::Ended } else { self.open() };
    }

    fn take(&mut self, report: &ExecutionReport, change: Change, is_first: bool) {
        // A report that names the side is about the order itself, and its number is the order's. A
        // fill names the meter that filled: of an aggregate order, a member.
        if report.side.is_some() {
            let known = self.meter.filter(|_| change == Change::Fill);
            self.meter = known.or(Some(report.meter));
            self.client_order = Some(report.client_order);
        }
        self.side = report.side.or(self.side);
        match change {
            Change::Enter => {
                self.is_whole = true;
                (self.limit, self.leaves) = (Some(report.price), report.leaves);
                self.status = self.open();
            }
            Change::Replace => {
                (self.limit, self.leaves) = (Some(report.price), report.leaves);
                self.status = self.open();
            }
            Change::Activate => {
                self.leaves = report.leaves;
                self.status = self.open();
            }
            Change::Hibernate => {
                self.leaves = report.leaves;
                self.status = OrderStatus::Suspended;
            }
            Change::Fill => self.fill(report),
            Change::Cancel => self.end(OrderStatus::Cancelled),
            Change::Expire => self.end(OrderStatus::Expired),
            Change::Restate => self.restate(report, is_first),
        }
    }
}

/// What a report changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Enter,
    Replace,
    Hibernate,
    Activate,
    Fill,
    Cancel,
    Expire,
    Restate,
}

impl Change {
    /// `None` for a refusal and for an order that was only validated: they change no order.
    const fn of(exec_type: ExecType) -> Option<Self> {
        match exec_type {
            ExecType::New => Some(Self::Enter),
            ExecType::Replaced => Some(Self::Replace),
            ExecType::Hibernated => Some(Self::Hibernate),
            ExecType::Activated => Some(Self::Activate),
            ExecType::Trade => Some(Self::Fill),
            ExecType::Cancelled => Some(Self::Cancel),
            ExecType::Expired => Some(Self::Expire),
            ExecType::Status => Some(Self::Restate),
            ExecType::Rejected
            | ExecType::CancelRejected
            | ExecType::ReplaceRejected
            | ExecType::ReduceRejected
            | ExecType::HibernateRejected
            | ExecType::ActivateRejected
            | ExecType::MassCancelRejected
            | ExecType::Validated
            | ExecType::ValidateRejected
            | ExecType::StatusRejected => None,
        }
    }

    /// Its place among the reports of one command.
    const fn step(self) -> u8 {
        match self {
            Self::Enter | Self::Replace | Self::Hibernate | Self::Activate => 0,
            Self::Fill => 1,
            Self::Cancel | Self::Expire => 2,
            Self::Restate => 3,
        }
    }
}

/// The states of a platform's orders at one shard. Reports may be told again, in order, from any
/// earlier one on: what is known changes nothing.
///
/// A refused request changes no order and leaves nothing here.
#[derive(Debug, Clone, Default)]
pub struct OrderStates {
    orders: BTreeMap<OrderId, OrderState>,
    /// The last position that was told.
    last: Seq,
    /// Reports up to here of orders that are not known are of forgotten ones.
    forgotten: Seq,
    /// Behind `ResumeTooOld`: the position that open orders are told as of.
    too_old: Option<Seq>,
}

impl OrderStates {
    /// Takes what the exchange said.
    pub fn take(&mut self, message: &Outbound) {
        match message {
            Outbound::ExecutionReport(report) => self.report(report),
            Outbound::ResumeTooOld(too_old) => self.too_old = Some(too_old.through),
            Outbound::ResumeComplete(_) => self.end_missing(),
            Outbound::SessionAccepted(_)
            | Outbound::SessionRejected(_)
            | Outbound::Heartbeat(_)
            | Outbound::LoggedOut(_)
            | Outbound::MessageRejected(_)
            | Outbound::GoingAway(_)
            | Outbound::TestReply(_)
            | Outbound::MassCancelled(_)
            | Outbound::DelegationReport(_)
            | Outbound::SessionLimits(_)
            | Outbound::ContractReport(_)
            | Outbound::ContractInvitation(_)
            | Outbound::AmendmentInvitation(_)
            | Outbound::MembersReport(_)
            | Outbound::Applied(_)
            | Outbound::DeadManSet(_) => {}
        }
    }

    /// An order that is known.
    #[must_use]
    pub fn get(&self, order: OrderId) -> Option<&OrderState> {
        self.orders.get(&order)
    }

    /// All orders that are known, by number.
    pub fn iter(&self) -> impl Iterator<Item = &OrderState> {
        self.orders.values()
    }

    /// The open ones, by number.
    pub fn open(&self) -> impl Iterator<Item = &OrderState> {
        self.iter().filter(|state| state.status.is_open())
    }

    /// Forgets the orders that have ended, so that their number stays small. Their reports may still be
    /// told again.
    pub fn forget_ended(&mut self) {
        self.orders.retain(|_, state| state.status.is_open());
        self.forgotten = self.last;
    }

    fn report(&mut self, report: &ExecutionReport) {
        let Some(change) = Change::of(report.exec_type) else { return };
        let position = Position { seq: report.seq, step: change.step(), trade: report.trade };
        let known = self.orders.get(&report.order);
        let is_first = known.is_none();
        let is_old = known.map_or(report.seq <= self.forgotten, |it| position <= it.position);
        self.last = self.last.max(report.seq);
        if is_old {
            return;
        }
        let state =
            self.orders.entry(report.order).or_insert_with(|| OrderState::unknown(report.order));
        state.position = position;
        state.take(report, change, is_first);
    }

    /// Whatever was open, and was not told as open where the journal no longer went back far enough,
    /// has ended in between.
    fn end_missing(&mut self) {
        let Some(through) = self.too_old.take() else { return };
        for state in self.orders.values_mut() {
            if state.status.is_open() && state.position.seq < through {
                state.end(OrderStatus::Ended);
            }
        }
    }
}
