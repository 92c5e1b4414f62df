//! Pay-outs: what was earned leaves once it can no longer be taken back, and free deposits when they
//! are asked for.

use types::{Energy, MeterId, Money, Price, Timestamp, TradeId};

use super::{
    DAY_MINUTES, Pipeline, Work,
    ingesting::{Arrival, Tally},
    minute_of,
};
use crate::{
    books::accounts::{Account, AccountKind, Owner},
    capture,
    error::{Doing as _, SettlementError, fit},
    mechanism::{self, Leg, LegKind},
    metering::{DocumentReject, PayOutRequest, Receipt, Verdict},
    outcome::State,
    policy::Mechanism,
    rails::{Instruction, InstructionId, InstructionKind, InstructionState, statement},
    store::database::params,
    store::{
        self,
        debts::{self, Of},
        rails,
    },
};

/// The day of the last run, which is the only one of that day.
const PAID_OUT: &str = "paid_out";

/// What a pay-out run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayOutSummary {
    /// Instructions written.
    pub written: u64,
    /// Their amounts together, in minor units.
    pub minor: i64,
}

/// Contracts whose transfers may still be taken back or used: before finality, provisional, disputed,
/// with debts that what was earned may pay, or paid with money that the rail has not sent yet.
///
/// Made distinct at the end: to merge what is distinct SQLite would read every contract in the order of trades,
/// once for each part.
const NOT_FINAL: &str = "
    SELECT trade, folio FROM contracts
    WHERE start_minute > ?1 - 1440 AND start_minute + minutes > ?1
    UNION ALL SELECT trade, folio FROM slots JOIN contracts USING (start_minute, market, minutes)
    WHERE slots.open = 1 AND provisional = 1
    UNION ALL SELECT trade, folio FROM contracts WHERE state = ?2
    UNION ALL SELECT trade, folio FROM debts JOIN contracts USING (trade)
    UNION ALL SELECT trade, folio FROM rail_instructions i JOIN contracts c USING (trade)
    WHERE i.kind = ?3 AND i.state <= 4";

impl Pipeline {
    /// Writes a pay-out for everybody who has earned something that is final by now: one run a
    /// day. Without `finality_days` in the policy nothing is ever final, and nothing is
    /// paid out.
    /// Rule S-45.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn pay_out(&mut self, now: Timestamp) -> Result<PayOutSummary, SettlementError> {
        let (Some(_), Some(days)) = (self.policy().rail, self.policy().finality_days) else {
            return Ok(PayOutSummary::default());
        };
        let days = i64::from(days).saturating_add(1).saturating_mul(DAY_MINUTES);
        let final_until = minute_of(now).saturating_sub(days);
        let Ok(today) = u16::try_from(statement::day_of(now)) else {
            return Ok(PayOutSummary::default());
        };
        let day = today.to_le_bytes();
        if store::meta(self.connection(), PAID_OUT)?.as_deref() == Some(&day[..]) {
            return Ok(PayOutSummary::default());
        }
        self.transact(|work| {
            let mut summary = PayOutSummary::default();
            store::set_meta(work.connection, PAID_OUT, &day)?;
            for (account, minor) in work.payable(final_until)? {
                if work.pay_out(account, minor, today, now)? {
                    summary.written = summary.written.saturating_add(1);
                    summary.minor = summary.minor.saturating_add(minor);
                }
            }
            Ok(summary)
        })
    }
}

impl Work<'_> {
    /// Earnings that stay, by account.
    fn payable(&mut self, final_until: i64) -> Result<Vec<(Account, i64)>, SettlementError> {
        const DOING: &str = "look for what can be paid out";
        self.posting.flush()?;
        let sql = format!(
            // `CROSS JOIN`: SQLite looks up a contract's transfers, and does not read a folio's for each contract.
            "WITH not_final AS ({NOT_FINAL}), ranges AS (
                 SELECT DISTINCT folio, (trade >> 48 << 59) | ((trade & 34359738367) << 24) AS first
                 FROM not_final
             ), moved AS (
                 SELECT t.credit AS account, t.amount FROM ranges CROSS JOIN transfers t
                 WHERE t.folio = ranges.folio AND t.id BETWEEN first AND first | 16777215
                 UNION ALL
                 SELECT t.debit, -t.amount FROM ranges CROSS JOIN transfers t
                 WHERE t.folio = ranges.folio AND t.id BETWEEN first AND first | 16777215
             ), kept AS (
                 SELECT account, sum(amount) AS minor FROM moved WHERE account & 255 = ?4
                 GROUP BY account
             )
             SELECT a.account, a.balance - max(coalesce(k.minor, 0), 0)
             FROM accounts a LEFT JOIN kept k ON k.account = a.account
             WHERE a.account & 255 = ?4 AND a.balance > 0 ORDER BY a.account"
        );
        let values = params![
            final_until,
            State::Disputed.code(),
            InstructionKind::Capture.code(),
            AccountKind::Earned.code()
        ];
        let mut select = self.connection.prepare_cached(&sql).doing(DOING)?;
        let rows: Vec<(i64, i64)> = select
            .query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .doing(DOING)?;
        let account = |(number, minor): (i64, i64)| {
            let damaged = || SettlementError::Damaged(format!("account {number}"));
            Account::from_number(number).ok_or_else(damaged).map(|account| (account, minor))
        };
        rows.into_iter().filter(|(_, minor)| *minor > 0).map(account).collect()
    }

    /// Whether a pay-out was written: not, if there was one on this day.
    fn pay_out(
        &mut self,
        from: Account,
        minor: i64,
        today: u16,
        now: Timestamp,
    ) -> Result<bool, SettlementError> {
        let id = InstructionId::of_pay_out(from.owner, today);
        if rails::instruction(self.connection, id)?.is_some() {
            return Ok(false);
        }
        self.write_pay_out(id, from, minor, now)?;
        Ok(true)
    }

    fn write_pay_out(
        &mut self,
        id: InstructionId,
        from: Account,
        minor: i64,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let new = Instruction {
            id,
            kind: InstructionKind::PayOut,
            contract: None,
            owner: from.owner,
            amount: Money::from_minor(minor),
            of: None,
            state: InstructionState::Written,
            attempts: 0,
            next: now,
        };
        rails::insert(self.connection, &new)?;
        self.post_for(&new, &Leg::new(LegKind::PayOut, from, Account::LEAVING, minor))
    }

    /// A meter's free money is asked back: the instruction is written with what it takes from the
    /// books. The same request again changes nothing.
    pub(super) fn take_pay_out_request(
        &mut self,
        request: &PayOutRequest,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let PayOutRequest { meter, number, amount, currency } = *request;
        let id = InstructionId::of_request(Owner::Meter(meter), number);
        let mut tally = Tally::default();
        tally.count(match rails::instruction(self.connection, id)? {
            Some(known) if known.amount == amount => Verdict::Known,
            Some(_) => Verdict::Contradicts,
            None => Verdict::New,
        });
        if tally.is_new() {
            let refused = |reason| Ok(Receipt { result: Err(reason), ..arrival.receipt });
            if self.policy.rail.is_none() || currency != self.policy.currency {
                return refused(DocumentReject::NoRail);
            }
            if amount.minor() > self.spare(meter)? {
                return refused(DocumentReject::InsufficientFunds);
            }
            let from = Account::of_meter(meter, AccountKind::Available);
            self.write_pay_out(id, from, amount.minor(), arrival.received)?;
        }
        let document = self.keep_document(arrival)?;
        self.answer(&tally, arrival, document)
    }

    /// What of a meter's free money nobody has a claim on: it owes nothing, and what contracts will
    /// take that draw on it is left.
    /// Rule S-46.
    fn spare(&mut self, meter: MeterId) -> Result<i64, SettlementError> {
        const DOING: &str = "look for what free money is reserved for";
        let debts = debts::open(self.connection, Of::Debtor(meter))?;
        let owed = debts.iter().map(|debt| debt.open).fold(0, i64::saturating_add);
        let available = self.posting.balance(Account::of_meter(meter, AccountKind::Available))?;
        let mut spare = available.saturating_sub(owed);
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT DISTINCT c.trade, c.price, c.energy, c.escrowed, c.mechanism
                 FROM meter_contracts m JOIN contracts c USING (trade)
                 WHERE m.meter = ?1 AND c.state = ?2
                 AND (CASE WHEN c.price < 0 THEN c.seller ELSE c.buyer END) = ?1",
            )
            .doing(DOING)?;
        let mut rows =
            select.query(params![meter.get(), State::AwaitingMeterData.code()]).doing(DOING)?;
        while let Some(row) = rows.next().doing(DOING)? {
            let trade = TradeId::new(fit(row.get::<i64>(0).doing(DOING)?, "a trade number")?);
            let price = Price::from_micros(row.get(1).doing(DOING)?);
            let energy = Energy::from_wh(fit(row.get::<i64>(2).doing(DOING)?, "an energy")?);
            let escrowed: i64 = row.get(3).doing(DOING)?;
            let mechanism = Mechanism::from_code(row.get(4).doing(DOING)?);
            if !mechanism.is_some_and(|one| mechanism::rail(one).draws_free_money()) {
                continue;
            }
            let value = capture::value(price, energy, self.policy)
                .ok_or(SettlementError::OutOfRange { what: "the amount", contract: trade })?;
            spare = spare.saturating_sub(value.saturating_sub(escrowed).max(0));
        }
        Ok(spare)
    }
}
