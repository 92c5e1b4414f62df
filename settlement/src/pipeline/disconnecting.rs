//! Disconnection: the retailer's decision, never the exchange's.
//!
//! A notice raises every contract under which the meter is suspended and still owes to level 4; a
//! withdrawal takes these back to level 3. What was paid goes back by itself, with the next round of
//! enforcement.

use types::{MeterId, RetailerId};

use super::{
    Work,
    ingesting::{Arrival, Tally},
    minute_of,
};
use crate::{
    error::{SettlementError, fit},
    metering::{self, Disconnection, DisconnectionDecision, DocumentReject, Receipt, Verdict},
    store::{
        debts::{self, Arrears},
        disconnections::{self, Decided},
    },
    tlog::leaf::{self, DefaultRecord, DisconnectionStep, LEVEL_DISCONNECTION, LEVEL_SUSPENDED},
};

impl Work<'_> {
    /// A retailer decides on disconnection. The same decision again changes nothing.
    pub(super) fn take_disconnection(
        &mut self,
        decided: &Disconnection,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let Disconnection { meter, revision, decision, reason } = decided;
        let retailer = RetailerId::new(arrival.signer.number);
        let stored = disconnections::revisions(self.connection, *meter, retailer)?;
        let content = (decision.code(), reason.clone());
        let verdict = metering::judge(&stored, *revision, &content);
        let mut tally = Tally::default();
        tally.count(verdict);
        let rows = match verdict {
            Verdict::New => self.decided_on(*meter, *decision)?,
            Verdict::Known | Verdict::Late | Verdict::Contradicts => Ok(Vec::new()),
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(reason) => return Ok(Receipt { result: Err(reason), ..arrival.receipt }),
        };
        let document = self.keep_document(arrival)?;
        if matches!(verdict, Verdict::New | Verdict::Late) {
            let decided = Decided { retailer, said: decided.clone() };
            disconnections::put(self.connection, &decided, document)?;
        }
        let receipt = self.answer(&tally, arrival, document)?;
        let document = fit(document, "the number of a document")?;
        let step = match decision {
            DisconnectionDecision::Notice => DisconnectionStep::Notice { document },
            DisconnectionDecision::Withdrawn => DisconnectionStep::Withdrawn { document },
        };
        for arrears in rows {
            self.step(arrears, step, minute_of(arrival.received))?;
        }
        Ok(receipt)
    }

    /// The contracts that a decision is about, or why it cannot be taken.
    fn decided_on(
        &self,
        meter: MeterId,
        decision: DisconnectionDecision,
    ) -> Result<Result<Vec<Arrears>, DocumentReject>, SettlementError> {
        let mut rows = debts::arrears_of(self.connection, meter)?;
        let is_in_force = |row: &Arrears| row.level == LEVEL_DISCONNECTION;
        Ok(match decision {
            DisconnectionDecision::Notice => {
                rows.retain(|row| row.level >= LEVEL_SUSPENDED && row.since != 0);
                if rows.is_empty() {
                    return Ok(Err(DocumentReject::NotSuspended));
                }
                // Under these the notice is in force already.
                rows.retain(|row| !is_in_force(row));
                Ok(rows)
            }
            DisconnectionDecision::Withdrawn => {
                rows.retain(is_in_force);
                if rows.is_empty() { Err(DocumentReject::NoNotice) } else { Ok(rows) }
            }
        })
    }

    /// Notices end whose cause was paid.
    pub(super) fn end_paid_disconnections(&mut self, now: i64) -> Result<(), SettlementError> {
        for arrears in debts::paid_at(self.connection, LEVEL_DISCONNECTION)? {
            self.step(arrears, DisconnectionStep::Paid, now)?;
        }
        Ok(())
    }

    /// A disconnection begins or ends under a contract: the level, and the leaf that says so.
    fn step(
        &mut self,
        arrears: Arrears,
        step: DisconnectionStep,
        minute: i64,
    ) -> Result<(), SettlementError> {
        let level = match step {
            DisconnectionStep::Notice { .. } => LEVEL_DISCONNECTION,
            DisconnectionStep::Withdrawn { .. } | DisconnectionStep::Paid => LEVEL_SUSPENDED,
        };
        let Arrears { contract, debtor, .. } = arrears;
        debts::put_level(self.connection, &Arrears { level, ..arrears })?;
        let open = self.open_principal(contract, debtor)?;
        let step = Some(step);
        let record = DefaultRecord { contract, debtor, level, minute, open, fine: 0, step };
        self.ledger.append(&leaf::encode_default(&record))?;
        Ok(())
    }
}
