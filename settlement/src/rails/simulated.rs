//! A payment rail that misbehaves on purpose, decided by a seed: for tests, and behind
//! `gridcross rail simulate`.
//!
//! What happens to an instruction is drawn from the seed and its number, so neither the order nor the
//! number of calls changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest as _, Sha256};
use types::{Currency, MeterId, Money, Timestamp};

use super::{
    Answer, Capabilities, Event, InstructionId, InstructionKind, News, Outcome, PaymentRail,
    SealReject, Sealed, Signer, Statement, StatementLine, message::Submission, statement,
};

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;
/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// How a simulated rail misbehaves. Chances are in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chances {
    /// Decides everything.
    pub seed: u64,
    /// Longest time until something happens, in seconds.
    pub delay_s: u32,
    /// An event is told three times.
    pub duplicate_ppm: u32,
    /// An event is told after events that happened later.
    pub reorder_ppm: u32,
    /// An instruction is declined; not a release, which asks for nothing.
    pub decline_ppm: u32,
    /// An instruction gets no answer when it is first sent.
    pub timeout_ppm: u32,
    /// Of those: it was taken all the same, and is carried out late. The others are lost.
    pub late_ppm: u32,
}

impl Chances {
    /// A number below a million, drawn for a purpose and an instruction.
    fn draw(&self, purpose: &str, id: InstructionId) -> u32 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(purpose.as_bytes());
        hash.update(id.number().to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, ..] = digest;
        u32::from_le_bytes([a, b, c, d]).checked_rem(1_000_000).unwrap_or(0)
    }

    fn happens(&self, purpose: &str, id: InstructionId, ppm: u32) -> bool {
        self.draw(purpose, id) < ppm
    }
}

/// An instruction at the rail.
#[derive(Debug, Clone)]
struct Entry {
    kind: InstructionKind,
    submission: Submission,
    /// What happened or will, and when.
    event: Event,
    /// Of a block: what is left of it, and until when it lives.
    blocked: i64,
    until: Timestamp,
}

/// The state of a simulated rail.
#[derive(Debug)]
pub struct SimulatedRail {
    chances: Chances,
    currency: Currency,
    hold_days: u32,
    entries: BTreeMap<InstructionId, Entry>,
    lost: BTreeSet<InstructionId>,
    /// Parties with nothing in their accounts.
    empty: BTreeSet<String>,
    /// What came in unasked, by the events' numbers.
    paid_in: BTreeMap<String, Event>,
    outbox: BTreeMap<(Timestamp, u64), Event>,
    told: u64,
    ends: BTreeSet<(Timestamp, InstructionId)>,
}

impl SimulatedRail {
    /// A rail with nothing in it, which keeps blocks for so many days.
    #[must_use]
    pub const fn new(chances: Chances, currency: Currency, hold_days: u32) -> Self {
        Self {
            chances,
            currency,
            hold_days,
            entries: BTreeMap::new(),
            lost: BTreeSet::new(),
            empty: BTreeSet::new(),
            paid_in: BTreeMap::new(),
            outbox: BTreeMap::new(),
            told: 0,
            ends: BTreeSet::new(),
        }
    }

    /// Takes an instruction. Nothing: it answers nothing.
    pub fn submit(&mut self, now: Timestamp, sent: &Submission) -> Option<Answer> {
        let Ok((_, id, kind)) = Submission::read(&sent.to_body()) else {
            return Some(Answer::Rejected);
        };
        if let Some(known) = self.entries.get(&id) {
            let is_same = known.submission == *sent;
            return Some(if is_same { Answer::Accepted } else { Answer::Rejected });
        }
        if sent.currency != self.currency.code() {
            return Some(Answer::Rejected);
        }
        let is_silent = self.chances.happens("timeout", id, self.chances.timeout_ppm);
        let is_taken = self.chances.happens("late", id, self.chances.late_ppm);
        if is_silent && !is_taken && self.lost.insert(id) {
            return None;
        }
        let is_late = is_silent && is_taken;
        self.take(now, (id, kind), sent, is_late);
        (!is_late).then_some(Answer::Accepted)
    }

    fn take(
        &mut self,
        now: Timestamp,
        (id, kind): (InstructionId, InstructionKind),
        sent: &Submission,
        is_late: bool,
    ) {
        let span = u64::from(self.chances.delay_s).saturating_mul(1_000);
        let drawn = u64::from(self.chances.draw("delay", id));
        let mut wait_ms = span.saturating_mul(drawn).checked_div(1_000_000).unwrap_or(0);
        if is_late {
            wait_ms = wait_ms.saturating_add(span.saturating_mul(10));
        }
        let wait_ns = i64::try_from(wait_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let at = now.plus_ns(wait_ns);
        let until = at.plus_ns(i64::from(self.hold_days).saturating_mul(DAY_S * SECOND_NS));
        let outcome = self.outcome((id, kind), sent, at, until);
        let is_settled = matches!(outcome, Outcome::Settled { .. });
        let amount = Money::from_minor(sent.amount);
        let news = News::Of { instruction: id, outcome, amount };
        let event = Event { id: format!("{id}-{}", outcome.name()), at, news };
        let blocked = if kind == InstructionKind::Block && is_settled { sent.amount } else { 0 };
        if blocked > 0 {
            self.ends.insert((until, id));
        }
        self.tell(id, &event);
        self.entries.insert(id, Entry { kind, submission: sent.clone(), event, blocked, until });
    }

    fn outcome(
        &mut self,
        (id, kind): (InstructionId, InstructionKind),
        sent: &Submission,
        at: Timestamp,
        until: Timestamp,
    ) -> Outcome {
        let is_unlucky = self.chances.happens("decline", id, self.chances.decline_ppm);
        if is_unlucky && kind != InstructionKind::Release {
            return Outcome::Declined;
        }
        match kind {
            InstructionKind::Block | InstructionKind::Collect | InstructionKind::Bill
                if self.empty.contains(&sent.party) =>
            {
                Outcome::Declined
            }
            InstructionKind::Block => Outcome::Settled { until: Some(until) },
            InstructionKind::Capture | InstructionKind::Release => {
                let of = sent.of.as_deref().and_then(InstructionId::parse);
                let block = of.and_then(|of| self.entries.get_mut(&of));
                match block.filter(|block| block.blocked >= sent.amount && at < block.until) {
                    Some(block) => {
                        block.blocked = block.blocked.saturating_sub(sent.amount);
                        Outcome::Settled { until: None }
                    }
                    None => Outcome::Declined,
                }
            }
            InstructionKind::Collect
            | InstructionKind::PayOut
            | InstructionKind::Refund
            | InstructionKind::Bill => Outcome::Settled { until: None },
        }
    }

    /// Puts an event into the outbox: once or thrice, in time or after others.
    fn tell(&mut self, id: InstructionId, event: &Event) {
        let span = i64::from(self.chances.delay_s).saturating_mul(SECOND_NS);
        let is_held = self.chances.happens("reorder", id, self.chances.reorder_ppm);
        let mut at = if is_held { event.at.plus_ns(span.saturating_mul(2)) } else { event.at };
        let is_repeated = self.chances.happens("duplicate", id, self.chances.duplicate_ppm);
        for _ in 0..if is_repeated { 3 } else { 1 } {
            self.told = self.told.saturating_add(1);
            self.outbox.insert((at, self.told), event.clone());
            at = at.plus_ns(span.saturating_div(3).max(1));
        }
    }

    /// Where an instruction stands: the answer, and what has happened to it.
    #[must_use]
    pub fn query(&self, now: Timestamp, id: InstructionId) -> (Answer, Vec<Event>) {
        match self.entries.get(&id) {
            None => (Answer::NotKnown, Vec::new()),
            Some(entry) if entry.event.at <= now => (Answer::Accepted, vec![entry.event.clone()]),
            Some(_) => (Answer::Accepted, Vec::new()),
        }
    }

    /// Somebody pays in for a meter.
    pub fn deposit(&mut self, now: Timestamp, reference: u64, meter: MeterId, amount: Money) {
        let news = News::Deposit { reference, meter, amount };
        self.pay_in(reference, Event { id: format!("deposit-{reference}"), at: now, news });
    }

    /// Somebody who owes has paid, to whoever recovers debts.
    pub fn recover(&mut self, now: Timestamp, reference: u64, meter: MeterId, amount: Money) {
        let news = News::Recovered { reference, meter, amount };
        self.pay_in(reference, Event { id: format!("recovered-{reference}"), at: now, news });
    }

    fn pay_in(&mut self, reference: u64, event: Event) {
        if self.paid_in.insert(event.id.clone(), event.clone()).is_none() {
            let number = i64::try_from(reference).unwrap_or(0);
            self.tell(InstructionId::from_number(number), &event);
        }
    }

    /// From now on a party has nothing in its account, or something again: what would take money from
    /// an empty one is declined.
    pub fn set_empty(&mut self, party: &str, is_empty: bool) {
        if is_empty {
            self.empty.insert(party.to_owned());
        } else {
            self.empty.remove(party);
        }
    }

    /// The events that are to be told by now, each taken out.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Event> {
        while let Some(&(until, id)) = self.ends.first().filter(|(until, _)| *until <= now) {
            self.ends.remove(&(until, id));
            let Some(block) = self.entries.get_mut(&id).filter(|block| block.blocked > 0) else {
                continue;
            };
            block.blocked = 0;
            let amount = Money::from_minor(block.submission.amount);
            let news = News::Of { instruction: id, outcome: Outcome::Expired, amount };
            let event = Event { id: format!("{id}-expired"), at: until, news };
            self.tell(id, &event);
        }
        let mut due = Vec::new();
        while let Some(entry) = self.outbox.first_entry().filter(|entry| entry.key().0 <= now) {
            due.push(entry.remove());
        }
        due
    }

    /// Whether something is still to be told.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.outbox.is_empty()
    }

    /// What went in and out on a day, and what was there before.
    #[must_use]
    pub fn statement(&self, day: i64) -> Statement {
        let mut lines = Vec::new();
        let mut opening = 0_i64;
        let mut add = |reference: String, at: Timestamp, minor: i64| {
            let of = statement::day_of(at);
            if of == day && minor != 0 {
                lines.push(StatementLine { reference, at, minor });
            } else if of < day {
                opening = opening.saturating_add(minor);
            }
        };
        for (id, entry) in &self.entries {
            let News::Of { outcome: Outcome::Settled { .. }, amount, .. } = entry.event.news else {
                continue;
            };
            add(id.to_string(), entry.event.at, entry.kind.inflow(amount.minor()));
        }
        for (reference, event) in &self.paid_in {
            let (News::Deposit { amount, .. } | News::Recovered { amount, .. }) = event.news else {
                continue;
            };
            add(reference.clone(), event.at, amount.minor());
        }
        lines.sort();
        Statement { day, opening, lines }
    }
}

/// A simulated rail with a clock and a key, as others see it.
#[derive(Debug)]
pub struct SimulatedDesk {
    rail: Mutex<(SimulatedRail, Timestamp)>,
    currency: Currency,
    signer: Signer,
}

impl SimulatedDesk {
    /// Opens the rail with its clock at the beginning of time.
    #[must_use]
    pub const fn new(rail: SimulatedRail, signer: Signer) -> Self {
        let currency = rail.currency;
        Self { rail: Mutex::new((rail, Timestamp::from_ns(0))), currency, signer }
    }

    fn open(&self) -> MutexGuard<'_, (SimulatedRail, Timestamp)> {
        // Every change of the rail is whole when a panic could come.
        self.rail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the rail's clock.
    pub fn set_clock(&self, now: Timestamp) {
        self.open().1 = now;
    }

    /// What it answers to an instruction; nothing, if it stays silent.
    #[must_use]
    pub fn answer(&self, sent: &Submission) -> Option<Answer> {
        let mut open = self.open();
        let (rail, now) = &mut *open;
        rail.submit(*now, sent)
    }

    /// Somebody pays in for a meter.
    pub fn deposit(&self, reference: u64, meter: MeterId, amount: Money) {
        let mut open = self.open();
        let (rail, now) = &mut *open;
        rail.deposit(*now, reference, meter, amount);
    }

    /// Somebody who owes has paid, to whoever recovers debts.
    pub fn recover(&self, reference: u64, meter: MeterId, amount: Money) {
        let mut open = self.open();
        let (rail, now) = &mut *open;
        rail.recover(*now, reference, meter, amount);
    }

    /// A party has nothing in its account, or something again: [`SimulatedRail::set_empty`].
    pub fn set_empty(&self, party: &str, is_empty: bool) {
        self.open().0.set_empty(party, is_empty);
    }

    /// The events that are to be told by now, sealed.
    #[must_use]
    pub fn take_due(&self) -> Vec<Sealed> {
        let mut open = self.open();
        let (rail, now) = &mut *open;
        let now = *now;
        rail.take_due(now).iter().map(|event| self.seal(event, now)).collect()
    }

    /// Whether something is still to be told.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.open().0.is_silent()
    }

    /// A day of the account.
    #[must_use]
    pub fn statement_of(&self, day: i64) -> Statement {
        self.open().0.statement(day)
    }

    /// Seals an event anew, with the time of now.
    #[must_use]
    pub fn seal_again(&self, sealed: &Sealed) -> Sealed {
        let seconds = self.open().1.ns().div_euclid(SECOND_NS);
        self.signer.seal(seconds, &sealed.number, sealed.body.clone())
    }

    fn seal(&self, event: &Event, now: Timestamp) -> Sealed {
        let seconds = now.ns().div_euclid(SECOND_NS);
        self.signer.seal(seconds, &event.id, event.to_body(self.currency))
    }
}

impl PaymentRail for SimulatedDesk {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    async fn submit(&self, message: &Submission) -> Answer {
        self.answer(message).unwrap_or(Answer::Unknown)
    }

    async fn query(&self, id: InstructionId) -> (Answer, Vec<Sealed>) {
        let open = self.open();
        let (answer, events) = open.0.query(open.1, id);
        (answer, events.iter().map(|event| self.seal(event, open.1)).collect())
    }

    fn verify(&self, sealed: &Sealed) -> Result<(), SealReject> {
        self.signer.verifier().check(sealed)
    }

    async fn statement(&self, day: i64) -> Option<Statement> {
        Some(self.statement_of(day))
    }
}
