//! Ingestion: documents become readings and curtailments, each key and revision once.

use std::collections::BTreeSet;

use types::{DeliverySlot, Timestamp};

use super::{Pipeline, Work};
use crate::{
    allocation::Metered,
    error::SettlementError,
    metering::{
        self, Curtailment, Document, DocumentKind, DocumentReject, Key, MeterFile, Receipt,
        Verdict, document, envelope,
    },
    store::intake,
};

/// How the statements of a document relate to what is known.
#[derive(Debug, Default)]
struct Tally {
    new: u32,
    late: u32,
    contradicts: bool,
}

impl Tally {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::New => self.new = self.new.saturating_add(1),
            Verdict::Late => self.late = self.late.saturating_add(1),
            Verdict::Known => {}
            Verdict::Contradicts => self.contradicts = true,
        }
    }

    const fn result(&self) -> Result<(), DocumentReject> {
        if self.contradicts {
            Err(DocumentReject::Equivocation)
        } else if self.new == 0 && self.late > 0 {
            Err(DocumentReject::StaleRevision)
        } else {
            Ok(())
        }
    }
}

impl Pipeline {
    /// Takes a signed document: a file of readings or a curtailment. All of it is taken or none.
    ///
    /// `received` is kept with the document as evidence and decides nothing.
    ///
    /// # Errors
    /// When the database refuses. What is wrong with a document is in the receipt.
    pub fn ingest(
        &mut self,
        received: Timestamp,
        document: &[u8],
    ) -> Result<Receipt, SettlementError> {
        let digest = envelope::digest(document);
        if let Some(receipt) = intake::receipt(self.connection(), &digest)? {
            return Ok(receipt);
        }
        let mut receipt = Receipt {
            digest,
            kind: DocumentKind::Unknown,
            accepted: 0,
            result: Ok(()),
            repeated: false,
        };
        let checked = envelope::open(document, self.registry()).and_then(|opened| {
            receipt.kind = document::kind_of(&opened.body);
            let content = document::parse(receipt.kind, &opened.body)?;
            metering::authority(opened.signer, &content, self.registry())?;
            Ok(content)
        });
        match checked {
            Err(reason) => {
                receipt.result = Err(reason);
                Ok(receipt)
            }
            Ok(Document::MeterReadings(file)) => {
                self.transact(|work| work.take_file(&file, receipt, received, document))
            }
            Ok(Document::Curtailment(curtailment)) => self
                .transact(|work| work.take_curtailment(&curtailment, receipt, received, document)),
        }
    }
}

impl Work<'_> {
    fn take_file(
        &mut self,
        file: &MeterFile,
        receipt: Receipt,
        received: Timestamp,
        bytes: &[u8],
    ) -> Result<Receipt, SettlementError> {
        let mut tally = Tally::default();
        let mut kept: Vec<(Key, Metered)> = Vec::new();
        let mut touched: BTreeSet<DeliverySlot> = BTreeSet::new();
        for (key, metered) in file.keyed() {
            let stored = intake::readings(self.connection, key)?;
            let verdict = metering::judge(&stored, file.revision, &metered);
            tally.count(verdict);
            match verdict {
                Verdict::New => {
                    kept.push((key, metered));
                    touched.insert(key.slot);
                }
                Verdict::Late => kept.push((key, metered)),
                Verdict::Known | Verdict::Contradicts => {}
            }
        }
        let (receipt, document) = self.keep_document(&tally, receipt, received, bytes)?;
        if tally.contradicts {
            return Ok(receipt);
        }
        for (key, metered) in &kept {
            intake::put_reading(self.connection, *key, file.revision, metered, document)?;
        }
        for slot in touched {
            intake::touch_slots(self.connection, slot)?;
        }
        Ok(receipt)
    }

    fn take_curtailment(
        &mut self,
        curtailment: &Curtailment,
        receipt: Receipt,
        received: Timestamp,
        bytes: &[u8],
    ) -> Result<Receipt, SettlementError> {
        let key = Key { meter: curtailment.meter, slot: curtailment.slot };
        let content = (curtailment.cap, intake::reason_code(curtailment.reason));
        let stored = intake::curtailments(self.connection, key)?;
        let verdict = metering::judge(&stored, curtailment.revision, &content);
        let mut tally = Tally::default();
        tally.count(verdict);
        let (receipt, document) = self.keep_document(&tally, receipt, received, bytes)?;
        match verdict {
            Verdict::New | Verdict::Late => {
                let revision = curtailment.revision;
                intake::put_curtailment(self.connection, key, revision, content, document)?;
            }
            Verdict::Known | Verdict::Contradicts => {}
        }
        if verdict == Verdict::New {
            intake::touch_slots(self.connection, key.slot)?;
        }
        Ok(receipt)
    }

    fn keep_document(
        &self,
        tally: &Tally,
        receipt: Receipt,
        received: Timestamp,
        bytes: &[u8],
    ) -> Result<(Receipt, i64), SettlementError> {
        let accepted = if tally.contradicts { 0 } else { tally.new };
        let answer = Receipt { accepted, result: tally.result(), ..receipt };
        let document = intake::put_document(self.connection, &answer, received, bytes)?;
        Ok((answer, document))
    }
}
