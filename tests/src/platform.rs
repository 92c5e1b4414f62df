//! A trade platform: signs for its meters, sends, and reads what it is told.
#![expect(clippy::expect_used, reason = "a lost session fails the test")]

use std::collections::VecDeque;

use gateway::client::{self, Connector, TradingSession, sign_new, sign_replace};
use types::{
    CancelReason, ClientOrderId, Conditions, Energy, MeterId, NewOrder, OrderId, OrderKind,
    OrderList, Price, RejectReason, ReplaceOrder, Role, Scope, ShardId, Side, SlotKey, TimeInForce,
    Timestamp,
};
use wire::{
    Inbound, Outbound,
    inbound::{Logon, Test},
    outbound::{ContractReport, DelegationReport, DelegationState, ExecType, ExecutionReport},
};

use crate::{
    cast,
    venue::{Venue, soon},
};

/// Heartbeat interval: longer than any test.
const HEARTBEAT_MS: u32 = 60_000;

/// A platform with an open session.
#[derive(Debug)]
pub struct Platform {
    /// Its session.
    pub session: TradingSession,
    /// Where orders go unless a test says otherwise.
    pub key: SlotKey,
    /// Until when signatures count unless a test says otherwise.
    pub valid_until: Timestamp,
    next_client_order: u64,
    inbox: VecDeque<Outbound>,
}

impl Platform {
    /// Logs on. Orders go to the slot at noon and are valid until then.
    ///
    /// # Panics
    /// When the exchange does not accept the session.
    pub async fn log_on(venue: &Venue, number: u16) -> Self {
        let connector = venue.connector(cast::party(Role::Platform, number));
        Self::connect(&connector, venue.slot(0), venue.minutes_from_noon(0)).await
    }

    /// Logs on at the shard of a slot. Orders go to that slot and are valid until it starts.
    ///
    /// # Panics
    /// When the exchange does not accept the session.
    pub async fn log_on_at(venue: &Venue, number: u16, key: SlotKey) -> Self {
        let connector = venue.connector(cast::party(Role::Platform, number));
        Self::connect_at(&connector, venue.shard_of(key), key, key.slot.start()).await
    }

    /// Logs on as the connector says, at the first shard.
    ///
    /// # Panics
    /// When the exchange does not accept the session.
    pub async fn connect(connector: &Connector, key: SlotKey, valid_until: Timestamp) -> Self {
        Self::connect_at(connector, ShardId::FIRST, key, valid_until).await
    }

    async fn connect_at(
        connector: &Connector,
        shard: ShardId,
        key: SlotKey,
        valid_until: Timestamp,
    ) -> Self {
        Self::log_on_as(connector, Logon::new(HEARTBEAT_MS, shard), key, valid_until).await
    }

    /// Logs on at noon's shard as stated.
    ///
    /// # Panics
    /// When the exchange does not accept the session.
    pub async fn log_on_with(venue: &Venue, number: u16, logon: Logon) -> Self {
        let connector = venue.connector(cast::party(Role::Platform, number));
        Self::log_on_as(&connector, logon, venue.slot(0), venue.minutes_from_noon(0)).await
    }

    async fn log_on_as(
        connector: &Connector,
        logon: Logon,
        key: SlotKey,
        valid_until: Timestamp,
    ) -> Self {
        let opening = TradingSession::log_on(connector, logon);
        let session = soon(opening).await.expect("a session");
        let inbox = VecDeque::new();
        Self { session, key, valid_until, next_client_order: 1, inbox }
    }

    /// Goes on counting its requests after those of an earlier session.
    #[must_use]
    pub const fn counting_from(mut self, client_order: u64) -> Self {
        self.next_client_order = client_order;
        self
    }

    /// The number of the next request.
    pub const fn next_id(&mut self) -> ClientOrderId {
        let id = ClientOrderId::new(self.next_client_order);
        self.next_client_order = self.next_client_order.saturating_add(1);
        id
    }

    /// An order that rests until the gate, with the next number, at a price in thousandths of the
    /// currency.
    pub const fn order(&mut self, meter: MeterId, side: Side, milli: i64, wh: u64) -> NewOrder {
        NewOrder {
            client_order: self.next_id(),
            meter,
            key: self.key,
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::UntilGate,
            limit: price(milli),
            quantity: Energy::from_wh(wh),
            valid_until: self.valid_until,
            conditions: Conditions::NONE,
            list: OrderList::NONE,
        }
    }

    /// A replacement with the next number.
    pub const fn replacement(
        &mut self,
        order: OrderId,
        meter: MeterId,
        milli: i64,
        wh: u64,
    ) -> ReplaceOrder {
        ReplaceOrder {
            client_order: self.next_id(),
            order,
            meter,
            limit: price(milli),
            quantity: Energy::from_wh(wh),
            valid_until: self.valid_until,
        }
    }

    /// Sends messages.
    ///
    /// # Panics
    /// When the session is lost.
    pub async fn send(&mut self, messages: &[Inbound]) {
        soon(self.session.sender.send(messages)).await.expect("the session is open");
    }

    /// Sends a message that asks for something and waits for its answer.
    pub async fn ask(&mut self, message: Inbound) -> Outbound {
        self.send(&[message]).await;
        self.answer(client_order(&message)).await
    }

    /// Signs and sends an order and waits for its answer.
    pub async fn place(&mut self, order: NewOrder) -> Outbound {
        self.ask(sign_new(&cast::meter_key(order.meter), order)).await
    }

    /// Signs an order and asks whether it would be accepted.
    pub async fn validate(&mut self, order: NewOrder) -> Outbound {
        self.ask(client::sign_validation(&cast::meter_key(order.meter), order)).await
    }

    /// Asks where an order stands.
    pub async fn status(&mut self, order: OrderId) -> Outbound {
        let client_order = self.next_id();
        self.ask(client::ask_status(client_order, order)).await
    }

    /// Signs and sends an order, which must be accepted.
    ///
    /// # Panics
    /// When it is not.
    pub async fn accepted(&mut self, order: NewOrder) -> ExecutionReport {
        let answer = self.place(order).await;
        assert_eq!(told(&answer), format!("new {}", order.quantity.wh()), "{order:?}");
        report(&answer)
    }

    /// Signs and sends a replacement and waits for its answer.
    pub async fn replace(&mut self, replace: ReplaceOrder) -> Outbound {
        self.ask(sign_replace(&cast::meter_key(replace.meter), replace)).await
    }

    /// Cancels an order and waits for the answer.
    pub async fn cancel(&mut self, order: OrderId) -> Outbound {
        let client_order = self.next_id();
        self.ask(client::cancel(client_order, order)).await
    }

    /// Makes an order smaller and waits for the answer.
    pub async fn reduce(&mut self, order: OrderId, wh: u64) -> Outbound {
        let client_order = self.next_id();
        self.ask(client::reduce(client_order, order, Energy::from_wh(wh))).await
    }

    /// Takes an order out of its book for a while and waits for the answer.
    pub async fn hibernate(&mut self, order: OrderId) -> Outbound {
        let client_order = self.next_id();
        self.ask(client::hibernate(client_order, order)).await
    }

    /// Puts an order back into its book and waits for the answer.
    pub async fn activate(&mut self, order: OrderId) -> Outbound {
        let client_order = self.next_id();
        self.ask(client::activate(client_order, order)).await
    }

    /// Cancels all orders of a scope, of one slot or of all, and waits for the answer, which comes
    /// after the reports of what was cancelled.
    pub async fn mass_cancel(&mut self, scope: Scope, slot: Option<SlotKey>) -> Outbound {
        let client_order = self.next_id();
        self.ask(client::mass_cancel(client_order, scope, slot)).await
    }

    /// Everything told so far and not read, in words.
    pub async fn unread_words(&mut self) -> Vec<String> {
        self.unread().await.iter().map(told).collect()
    }

    /// The answer to a request; what else comes before it is kept.
    pub async fn answer(&mut self, client_order: ClientOrderId) -> Outbound {
        self.wait_for(|message| answers(message, client_order)).await
    }

    /// The next report of a kind; what else comes before it is kept.
    pub async fn report_of(&mut self, exec_type: ExecType) -> ExecutionReport {
        let is_one = |message: &Outbound| matches!(message, Outbound::ExecutionReport(report) if report.exec_type == exec_type);
        report(&self.wait_for(is_one).await)
    }

    /// The next message, first of those kept, that is no heartbeat.
    pub async fn next(&mut self) -> Outbound {
        self.wait_for(|message| !matches!(message, Outbound::Heartbeat(_))).await
    }

    /// Everything told so far and not read: a test request goes there and back.
    pub async fn unread(&mut self) -> Vec<Outbound> {
        let test = Test { token: u64::MAX };
        self.send(&[Inbound::TestRequest(test)]).await;
        self.wait_for(|message| *message == Outbound::TestReply(test)).await;
        self.inbox.drain(..).collect()
    }

    /// Places an order that cannot trade and cancels it.
    ///
    /// # Panics
    /// When either is not done: then this session suffers from what another one did.
    pub async fn goes_on(&mut self, meter: MeterId) {
        let order = self.order(meter, Side::Buy, 1, 10);
        let order = self.accepted(order).await.order;
        assert_eq!(told(&self.cancel(order).await), "cancelled 10 requested");
    }

    async fn wait_for(&mut self, is_it: impl Fn(&Outbound) -> bool) -> Outbound {
        if let Some(at) = self.inbox.iter().position(&is_it)
            && let Some(message) = self.inbox.remove(at)
        {
            return message;
        }
        loop {
            let message = soon(self.session.receiver.next()).await.expect("the session is open");
            if is_it(&message) {
                return message;
            }
            self.inbox.push_back(message);
        }
    }
}

/// Currency per kWh in thousandths.
#[must_use]
pub const fn price(milli: i64) -> Price {
    Price::from_micros(milli.saturating_mul(1_000))
}

/// The report in a message.
///
/// # Panics
/// When it is something else.
#[must_use]
pub fn report(message: &Outbound) -> ExecutionReport {
    let Outbound::ExecutionReport(report) = message else {
        panic!("not an execution report: {message:?}");
    };
    *report
}

/// The number of a request.
fn client_order(message: &Inbound) -> ClientOrderId {
    match message {
        Inbound::NewOrder(signed) | Inbound::ValidateOrder(signed) => signed.order.client_order,
        Inbound::ReplaceOrder(signed) => signed.replace.client_order,
        Inbound::CancelOrder(request)
        | Inbound::HibernateOrder(request)
        | Inbound::ActivateOrder(request)
        | Inbound::StatusRequest(request) => request.client_order,
        Inbound::ReduceOrder(reduce) => reduce.client_order,
        Inbound::MassCancel(cancel) => cancel.client_order,
        Inbound::DelegateMeter(delegate) => delegate.client_order,
        Inbound::RevokeDelegation(revoke) => revoke.client_order,
        Inbound::DelegatedOrder(order) => order.client_order,
        Inbound::DelegatedReplace(replace) => replace.client_order,
        Inbound::OfferContract(offer) => offer.client_order,
        Inbound::AcceptContract(accept) => accept.client_order,
        Inbound::AggregateMembers(page) => page.client_order,
        Inbound::NewAggregateOrder(signed) => signed.order.client_order,
        Inbound::OfferAmendment(offer) => offer.client_order,
        Inbound::AcceptAmendment(accept) => accept.client_order,
        Inbound::DeclineContract(request) | Inbound::WithdrawContract(request) => {
            request.client_order
        }
        Inbound::FrameSignature(_)
        | Inbound::Logon(_)
        | Inbound::Logout(_)
        | Inbound::Heartbeat(_)
        | Inbound::SetDeadMan(_)
        | Inbound::TestRequest(_) => {
            panic!("no request: {message:?}")
        }
    }
}

fn answers(message: &Outbound, client_order: ClientOrderId) -> bool {
    match message {
        Outbound::MessageRejected(rejected) => rejected.client_order == client_order,
        Outbound::MassCancelled(cancelled) => cancelled.client_order == client_order,
        Outbound::DelegationReport(report) => report.client_order == client_order,
        Outbound::ExecutionReport(report) => {
            report.client_order == client_order
                && !matches!(report.exec_type, ExecType::Trade | ExecType::Expired)
        }
        Outbound::ContractReport(report) => report.client_order == client_order,
        // The refusal of an order stands behind the report of its member.
        Outbound::MembersReport(report) => {
            report.client_order == client_order && report.meter.get() == 0
        }
        Outbound::ContractInvitation(_)
        | Outbound::AmendmentInvitation(_)
        | Outbound::SessionAccepted(_)
        | Outbound::SessionRejected(_)
        | Outbound::Heartbeat(_)
        | Outbound::LoggedOut(_)
        | Outbound::GoingAway(_)
        | Outbound::SessionLimits(_)
        | Outbound::ResumeComplete(_)
        | Outbound::ResumeTooOld(_)
        | Outbound::Applied(_)
        | Outbound::DeadManSet(_)
        | Outbound::TestReply(_) => false,
    }
}

/// A message in words: what happened and why. What never reached the engine is `turned away`.
#[must_use]
pub fn told(message: &Outbound) -> String {
    match message {
        Outbound::ExecutionReport(report) => told_report(report),
        Outbound::MessageRejected(rejected) => format!("turned away {}", rejected.reason.name()),
        Outbound::SessionRejected(rejected) => format!("no session {}", rejected.reason.name()),
        Outbound::SessionAccepted(_) => "session".to_owned(),
        Outbound::Heartbeat(_) => "heartbeat".to_owned(),
        Outbound::LoggedOut(_) => "logged out".to_owned(),
        Outbound::GoingAway(_) => "going away".to_owned(),
        Outbound::TestReply(test) => format!("test {}", test.token),
        Outbound::DelegationReport(report) => told_delegation(report),
        Outbound::ContractReport(report) => told_contract(report),
        Outbound::ContractInvitation(invitation) => {
            format!("invited to {} of {}", invitation.offer, invitation.terms.quantity.wh())
        }
        Outbound::MembersReport(report) => match RejectReason::from_code(report.reason) {
            Some(reason) => format!("page rejected {}", reason.name()),
            None if report.meter.get() > 0 => format!("refused for meter {}", report.meter),
            None => format!("listed {}", report.members),
        },
        Outbound::AmendmentInvitation(invitation) => {
            let terms = &invitation.terms;
            let (trade, wh) = (terms.trade, terms.new_quantity.wh());
            format!("invited to {} of trade {trade} to {wh}", invitation.offer)
        }
        Outbound::SessionLimits(limits) => format!("limits {} orders/s", limits.orders_per_s),
        Outbound::ResumeComplete(_) => "told everything".to_owned(),
        Outbound::ResumeTooOld(_) => "too old".to_owned(),
        Outbound::DeadManSet(switch) => format!("dead man in {} ms", switch.after_ms),
        Outbound::Applied(applied) => format!("applied through {}", applied.client_order),
        Outbound::MassCancelled(report) => {
            let end = if report.complete { "" } else { " and more are left" };
            format!("mass cancelled {}{end}", report.cancelled)
        }
    }
}

fn told_delegation(report: &DelegationReport) -> String {
    let DelegationReport { number, meter, .. } = report;
    let reason =
        || RejectReason::from_code(report.reason).map_or("without a reason", RejectReason::name);
    match report.state {
        DelegationState::Entered => format!("delegation {number} of meter {meter}"),
        DelegationState::Ended => format!("no delegation up to {number} of meter {meter}"),
        DelegationState::Refused => format!("delegation rejected {}", reason()),
        DelegationState::EndRefused => format!("revocation rejected {}", reason()),
    }
}

fn told_contract(report: &ContractReport) -> String {
    let ContractReport { offer, trade, state, .. } = report;
    match RejectReason::from_code(report.reason) {
        Some(reason) => format!("{state:?} {}", reason.name()),
        None if trade.get() > 0 => format!("{state:?} {offer} as trade {trade}"),
        None => format!("{state:?} {offer}"),
    }
}

fn told_report(report: &ExecutionReport) -> String {
    let leaves = report.leaves.wh();
    let quantity = report.quantity.wh();
    let cancelled = || match u8::try_from(report.reason).ok().and_then(CancelReason::from_code) {
        Some(CancelReason::Requested) => "requested",
        Some(CancelReason::ImmediateOrCancel) => "immediate",
        Some(CancelReason::SelfTrade) => "self_trade",
        Some(CancelReason::GateClosed) => "gate_closed",
        Some(CancelReason::Expired) => "last_instant",
        Some(CancelReason::FillOrKill) => "fill_or_kill",
        Some(CancelReason::MassCancel) => "mass_cancel",
        Some(CancelReason::Killed) => "killed",
        Some(CancelReason::NoLiquidity) => "no_liquidity",
        Some(CancelReason::List) => "list",
        Some(CancelReason::TradeLimit) => "trade_limit",
        Some(CancelReason::GridLimit) => "grid_limit",
        Some(CancelReason::AuctionCancelled) => "auction_cancelled",
        None => "without a reason",
    };
    let rejected =
        || RejectReason::from_code(report.reason).map_or("without a reason", RejectReason::name);
    match report.exec_type {
        ExecType::New => format!("new {quantity}"),
        ExecType::Trade => format!("trade {quantity} leaves {leaves}"),
        ExecType::Cancelled => format!("cancelled {leaves} {}", cancelled()),
        ExecType::Replaced => format!("replaced leaves {leaves}"),
        ExecType::Expired => format!("expired {leaves} {}", cancelled()),
        ExecType::Status => format!("status filled {quantity} leaves {leaves}"),
        ExecType::Rejected => format!("rejected {}", rejected()),
        ExecType::CancelRejected => format!("cancel rejected {}", rejected()),
        ExecType::ReplaceRejected => format!("replace rejected {}", rejected()),
        ExecType::Hibernated => format!("hibernated leaves {leaves}"),
        ExecType::Activated => format!("activated leaves {leaves}"),
        ExecType::ReduceRejected => format!("reduce rejected {}", rejected()),
        ExecType::HibernateRejected => format!("hibernate rejected {}", rejected()),
        ExecType::ActivateRejected => format!("activate rejected {}", rejected()),
        ExecType::MassCancelRejected => format!("mass cancel rejected {}", rejected()),
        ExecType::Validated => "validated".to_owned(),
        ExecType::ValidateRejected => format!("validate rejected {}", rejected()),
        ExecType::StatusRejected => format!("status rejected {}", rejected()),
    }
}
