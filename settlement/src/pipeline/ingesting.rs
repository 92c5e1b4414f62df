//! Ingestion: documents become readings and curtailments, each key and revision once.

use std::collections::BTreeSet;

use types::{DeliverySlot, Party, Timestamp};

use super::{Pipeline, Work};
use crate::{
    error::{SettlementError, fit},
    metering::{
        self, Bounds, Curtailment, Document, DocumentKind, DocumentReject, Key, Opened, Receipt,
        Statement, Verdict, document, envelope, files,
    },
    store::intake,
    tlog::facts::{self, DocumentRecord},
};

/// How the statements of a document relate to what is known.
#[derive(Debug, Default)]
pub(super) struct Tally {
    new: u32,
    late: u32,
    contradicts: bool,
}

impl Tally {
    pub(super) fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::New => self.new = self.new.saturating_add(1),
            Verdict::Late => self.late = self.late.saturating_add(1),
            Verdict::Known => {}
            Verdict::Contradicts => self.contradicts = true,
        }
    }

    pub(super) const fn contradicts(&self) -> bool {
        self.contradicts
    }

    pub(super) const fn is_new(&self) -> bool {
        self.new > 0
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
    /// Takes a signed document. All of it is taken or none.
    ///
    /// `received` is kept with the document as evidence, and no reading may be of a time after it.
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
            // When it was signed nobody can prove: it counts as signed when it arrives.
            if self.signing_until.get(&opened.signer).is_some_and(|&until| received > until) {
                return Err(DocumentReject::CertificateExpired);
            }
            let content = self.read(received, &opened, &mut receipt.kind)?;
            Ok((opened.signer, content))
        });
        match checked {
            Err(reason) => {
                receipt.result = Err(reason);
                Ok(receipt)
            }
            Ok((signer, content)) => {
                let arrival = Arrival { receipt, signer, received, bytes: document };
                self.transact(|work| work.take(&content, &arrival))
            }
        }
    }

    /// What a document says, if its signer may say it.
    fn read(
        &self,
        received: Timestamp,
        opened: &Opened,
        kind: &mut DocumentKind,
    ) -> Result<Content, DocumentReject> {
        let (registry, plausible) = (self.registry(), self.policy().plausible);
        let bounds = Bounds { registry, received, plausible };
        let (statements, revision) = match opened.file {
            Some(head) => {
                *kind = DocumentKind::MeterReadings;
                (files::read(opened.signer, head, &opened.body, bounds)?, head.revision)
            }
            None => {
                *kind = document::kind_of(&opened.body);
                let content = document::parse(*kind, &opened.body)?;
                metering::authority(opened.signer, &content, bounds)?;
                match content {
                    Document::MeterReadings(file) => (file.statements().collect(), file.revision),
                    Document::Curtailment(_)
                    | Document::ZoneCurtailment(_)
                    | Document::MeterPoints(_)
                    | Document::MeterCodes(_)
                    | Document::GridLimit(_)
                    | Document::PayOutRequest(_)
                    | Document::Disconnection(_) => return Ok(Content::Other(content)),
                }
            }
        };
        for statement in &statements {
            metering::check_statement(opened.signer, statement, bounds)?;
        }
        Ok(Content::Readings { revision, statements })
    }
}

/// A document that was read.
enum Content {
    Readings { revision: u32, statements: Vec<Statement> },
    Other(Document),
}

/// A document on its way in.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) receipt: Receipt,
    pub(super) signer: Party,
    pub(super) received: Timestamp,
    pub(super) bytes: &'a [u8],
}

impl Work<'_> {
    fn take(
        &mut self,
        content: &Content,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        match content {
            Content::Readings { revision, statements } => {
                self.take_readings(*revision, statements, arrival)
            }
            Content::Other(Document::Curtailment(curtailment)) => {
                self.take_curtailment(curtailment, arrival)
            }
            Content::Other(Document::ZoneCurtailment(curtailment)) => {
                self.take_zone_curtailment(curtailment, arrival)
            }
            Content::Other(Document::MeterPoints(points)) => self.take_points(points, arrival),
            Content::Other(Document::MeterCodes(codes)) => self.take_codes(codes, arrival),
            Content::Other(Document::GridLimit(limit)) => self.take_limit(limit, arrival),
            Content::Other(Document::PayOutRequest(request)) => {
                self.take_pay_out_request(request, arrival)
            }
            Content::Other(Document::Disconnection(decided)) => {
                self.take_disconnection(decided, arrival)
            }
            Content::Other(Document::MeterReadings(_)) => Ok(arrival.receipt),
        }
    }

    /// All readings are judged before the first is written: a contradiction takes none of them, and leaves the
    /// document as evidence. No reading is in a document twice.
    /// Rule S-07.
    pub(super) fn take_readings(
        &mut self,
        revision: u32,
        statements: &[Statement],
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let document = self.keep_document(arrival)?;
        let mut tally = Tally::default();
        let mut touched: BTreeSet<DeliverySlot> = BTreeSet::new();
        let mut unknown = Vec::with_capacity(statements.len());
        let keys: Vec<Key> = statements.iter().map(|statement| statement.key).collect();
        let stored = intake::readings(self.connection, &keys)?;
        for (statement, stored) in statements.iter().zip(&stored) {
            let content = (statement.metered, statement.quality);
            let verdict = metering::judge(stored, revision, &content);
            tally.count(verdict);
            match verdict {
                Verdict::New => {
                    touched.insert(statement.key.slot);
                    unknown.push(statement);
                }
                Verdict::Late => unknown.push(statement),
                Verdict::Known | Verdict::Contradicts => {}
            }
        }
        if !tally.contradicts {
            intake::put_readings(self.connection, revision, &unknown, document)?;
            for slot in touched {
                intake::touch_slots(self.connection, slot)?;
            }
        }
        self.answer(&tally, arrival, document)
    }

    fn take_curtailment(
        &mut self,
        curtailment: &Curtailment,
        arrival: &Arrival<'_>,
    ) -> Result<Receipt, SettlementError> {
        let key = Key { meter: curtailment.meter, slot: curtailment.slot };
        let content = (curtailment.cap, intake::reason_code(curtailment.reason));
        let stored = intake::curtailments(self.connection, key)?;
        let verdict = metering::judge(&stored, curtailment.revision, &content);
        let mut tally = Tally::default();
        tally.count(verdict);
        let document = self.keep_document(arrival)?;
        match verdict {
            Verdict::New | Verdict::Late => {
                let revision = curtailment.revision;
                intake::put_curtailment(self.connection, key, revision, content, document)?;
            }
            Verdict::Known | Verdict::Contradicts => {}
        }
        if verdict == Verdict::New {
            intake::touch_slots(self.connection, key.slot)?;
            self.tell_of_meter(key, curtailment.cap, document)?;
        }
        self.answer(&tally, arrival, document)
    }

    pub(super) fn keep_document(&self, arrival: &Arrival<'_>) -> Result<i64, SettlementError> {
        let from = (arrival.signer, arrival.received);
        intake::put_document(self.connection, &arrival.receipt, from, arrival.bytes)
    }

    /// Decides on a document by what its statements are, writes the answer down and puts a salted hash
    /// of the document into the ledger.
    pub(super) fn answer(
        &mut self,
        tally: &Tally,
        arrival: &Arrival<'_>,
        document: i64,
    ) -> Result<Receipt, SettlementError> {
        let accepted = if tally.contradicts { 0 } else { tally.new };
        let answer = Receipt { accepted, result: tally.result(), ..arrival.receipt };
        intake::answer_document(self.connection, document, &answer)?;
        let number = fit(document, "the number of a document")?;
        let salt = facts::salt(self.salts, number, &answer.digest);
        let leaf = self.ledger.append(&facts::encode_document(&DocumentRecord {
            document: number,
            signer: arrival.signer,
            kind: answer.kind.code(),
            accepted,
            reject: answer.result.err().map_or(0, DocumentReject::code),
            commitment: facts::commitment(&salt, arrival.bytes),
        }))?;
        intake::put_salt(self.connection, document, &salt, leaf)?;
        Ok(answer)
    }
}
