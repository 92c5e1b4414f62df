//! Writes of the ledger service: names of contracts, reports of their sides, readings of one meter.
//!
//! A request that says something of delivery is kept as a document, with the header that signs it, so
//! that its signature can be checked again at any time; like every document it is on the ledger.

use types::{Energy, MeterId, Party, Side, SlotKey, Timestamp, TradeId};

use super::{Pipeline, Work, ingesting::Arrival, ingesting::Tally};
use crate::{
    allocation::{self, Metered, Position},
    error::SettlementError,
    metering::{
        self, Bounds, DocumentKind, DocumentReject, Key, Quality, Receipt, Statement, Verdict,
        envelope,
    },
    registry::MeterCode,
    service::{
        self, AllocatedPart, MeterStatement, Refusal, Request, SideReport, SideStatus, TradeFacts,
        Written,
        signature::{self, SignatureReject, Signed},
    },
    store::{intake, queries},
};

type Answer<T> = Result<Result<T, Refusal>, SettlementError>;

/// The kept form of a signed request: the header, an empty line, the raw body.
fn kept(header: &str, body: &[u8]) -> Vec<u8> {
    [b"Authorization: ", header.as_bytes(), b"\n\n", body].concat()
}

impl Pipeline {
    /// Who signed a request.
    ///
    /// # Errors
    /// The first rule that its signature breaks.
    pub fn signer_of(
        &self,
        header: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Signed, SignatureReject> {
        signature::verify(header, body, now, self.registry())
    }

    /// A platform names a trade of its own, and says what it knows of it.
    ///
    /// # Errors
    /// When the database refuses. What is wrong with the request is in the answer.
    pub fn name_trade(
        &mut self,
        request: &Request,
        side: Side,
        facts: &TradeFacts,
    ) -> Answer<Written> {
        self.transact(|work| work.name_trade(request, side, facts))
    }

    /// A distribution company says what became of its side of a contract. `evidence` is the header
    /// and the raw body.
    ///
    /// # Errors
    /// When the database refuses. What is wrong with the request is in the answer.
    pub fn report_side(
        &mut self,
        (request, received): (&Request, Timestamp),
        side: Side,
        (status, energy): (Option<SideStatus>, Option<Energy>),
        evidence: (&str, &[u8]),
    ) -> Answer<Written> {
        let bytes = kept(evidence.0, evidence.1);
        let arrival = arrival(DocumentKind::SideReport, request.caller, received, &bytes);
        self.transact(|work| work.report_side(request, side, (status, energy), &arrival))
    }

    /// A distribution company says what a meter moved. The shares of all contracts of that meter and
    /// slot, or none while the slot is not covered.
    ///
    /// # Errors
    /// When the database refuses. What is wrong with the request is in the answer.
    pub fn allocate_meter(
        &mut self,
        (signed, received): (Signed, Timestamp),
        said: &MeterStatement,
        evidence: (&str, &[u8]),
    ) -> Answer<Vec<AllocatedPart>> {
        let bytes = kept(evidence.0, evidence.1);
        let statement = match self.said_of_meter(signed.party, received, said) {
            Ok(statement) => statement,
            Err(reject) => return Ok(Err(Refusal::Reading(reject))),
        };
        if intake::receipt(self.connection(), &envelope::digest(&bytes))?.is_none() {
            let arrival = arrival(DocumentKind::MeterReadings, signed.party, received, &bytes);
            // Whoever signs later knows more.
            let revision = u32::try_from(signed.created).unwrap_or(u32::MAX);
            let receipt =
                self.transact(|work| work.take_readings(revision, &[statement], &arrival))?;
            if let Err(reject) = receipt.result {
                return Ok(Err(Refusal::Reading(reject)));
            }
        }
        self.shares(statement.key.meter, said).map(Ok)
    }

    /// What is said of a meter, if this signer may say it.
    fn said_of_meter(
        &self,
        signer: Party,
        received: Timestamp,
        said: &MeterStatement,
    ) -> Result<Statement, DocumentReject> {
        let registry = self.registry();
        let meter = registry.meter_named(signer, said.meter).ok_or(DocumentReject::UnknownMeter)?;
        let bounds = Bounds { registry, received, plausible: self.policy().plausible };
        let moved = Energy::from_wh(said.imported_wh.unsigned_abs());
        let metered = if said.imported_wh < 0 {
            Metered { injected: moved, withdrawn: Energy::ZERO }
        } else {
            Metered { injected: Energy::ZERO, withdrawn: moved }
        };
        if !registry.has_use_for_blocks_of(said.span.minutes()) {
            return Err(DocumentReject::Misaligned);
        }
        let key = Key { meter: meter.id, slot: said.span };
        let statement = Statement { key, metered, quality: Quality::Measured };
        metering::check_statement(signer, &statement, bounds)?;
        Ok(statement)
    }

    /// What the contracts of a meter get of its energy, as a verification cycle would spread it now.
    fn shares(
        &self,
        meter: MeterId,
        said: &MeterStatement,
    ) -> Result<Vec<AllocatedPart>, SettlementError> {
        let mut rows: Vec<(Side, queries::ContractRow)> = Vec::new();
        for (trade, side, _) in queries::contracts_around(self.connection(), meter, said.span)? {
            let row = queries::contract(self.connection(), trade)?;
            rows.extend(row.filter(|row| !row.state.is_cancelled()).map(|row| (side, row)));
        }
        let mut keys: Vec<SlotKey> = rows.iter().map(|(_, row)| row.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut parts = Vec::new();
        for key in keys {
            let blocks = intake::blocks(self.connection(), key.slot, &[meter])?;
            let covered = metering::cover(key.slot, blocks.iter().map(|(_, block)| block));
            if !covered.is_complete {
                continue;
            }
            let here: Vec<_> = rows.iter().filter(|(_, row)| row.key == key).collect();
            let position = |(side, row): &&(Side, queries::ContractRow)| Position {
                contract: row.contract.id,
                side: *side,
                energy: row.energy,
            };
            let positions: Vec<Position> = here.iter().map(position).collect();
            let caps = intake::caps(self.connection(), key.slot)?;
            let side = allocation::net_side(&positions);
            let cap = side.and_then(|side| caps.get(&(meter, side.code())).copied());
            let shares =
                allocation::allocate(&positions, covered.metered, cap, self.policy().allocation);
            parts.extend(here.iter().zip(shares).map(|((side, row), share)| AllocatedPart {
                trade: row.contract.id,
                name: row.name.clone(),
                side: *side,
                contracted: row.energy,
                allocated: share.allocated,
            }));
        }
        Ok(parts)
    }
}

fn arrival(kind: DocumentKind, signer: Party, received: Timestamp, bytes: &[u8]) -> Arrival<'_> {
    let digest = envelope::digest(bytes);
    let receipt = Receipt { digest, kind, accepted: 0, result: Ok(()), repeated: false };
    Arrival { receipt, signer, received, bytes }
}

impl Work<'_> {
    fn name_trade(&mut self, request: &Request, side: Side, facts: &TradeFacts) -> Answer<Written> {
        let named = queries::trade_named(self.connection, &request.name)?;
        let (trade, is_new) = match named {
            Some(trade) => (trade, false),
            None => match self.unnamed(request.caller, side, facts)? {
                Ok(trade) => (trade, true),
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let Some(row) = queries::contract(self.connection, trade)? else {
            return Ok(Err(Refusal::NotFound));
        };
        if own_platform(&row, side) != request.caller {
            // Who is no party of it does not learn that it exists.
            let is_party = own_platform(&row, side.opposite()) == request.caller;
            let refusal = if is_party { Refusal::NotAuthorised } else { Refusal::NotFound };
            return Ok(Err(refusal));
        }
        if let Err(refusal) = service::compare(facts, &row) {
            return Ok(Err(refusal));
        }
        if queries::contradicts(self.connection, request)? {
            return Ok(Err(other_body(request)));
        }
        if is_new {
            queries::put_name(self.connection, &request.name, trade)?;
        }
        let name = if is_new { request.name.clone() } else { row.name.clone() };
        let row = Box::new(queries::ContractRow { name, ..row });
        Ok(Ok(Written { row, repeated: !is_new }))
    }

    /// The oldest trade without a name that fits what a platform says of it.
    fn unnamed(&self, caller: Party, side: Side, facts: &TradeFacts) -> Answer<TradeId> {
        let [buyer, seller] = facts.meters;
        let (own, field) = match side {
            Side::Buy => (buyer, "buyerId"),
            Side::Sell => (seller, "sellerId"),
        };
        let Some(code) = own else { return Ok(Err(Refusal::Missing(field))) };
        let Some(start) = facts.start else {
            return Ok(Err(Refusal::Missing("deliveryStartTime")));
        };
        let Some(end) = facts.end else { return Ok(Err(Refusal::Missing("deliveryEndTime"))) };
        if facts.energy.is_none() {
            return Ok(Err(Refusal::Missing("tradeDetails")));
        }
        let Some(meter) = self.registered(code) else { return Ok(Err(Refusal::NotFound)) };
        let Some(span) = span_of(start, end) else { return Ok(Err(Refusal::NotFound)) };
        for (trade, of, key) in queries::contracts_around(self.connection, meter, span)? {
            if of != side || key.slot != span || queries::is_named(self.connection, trade)? {
                continue;
            }
            let row = queries::contract(self.connection, trade)?;
            let fits = |row: &queries::ContractRow| {
                own_platform(row, side) == caller && service::compare(facts, row).is_ok()
            };
            if row.as_ref().is_some_and(fits) {
                return Ok(Ok(trade));
            }
        }
        Ok(Err(Refusal::NotFound))
    }

    fn registered(&self, code: MeterCode) -> Option<MeterId> {
        // Nobody gives names of its own here: only registered ones count.
        let nobody = Party { role: types::Role::Settlement, number: 0 };
        self.registry.meter_named(nobody, code).map(|meter| meter.id)
    }

    fn report_side(
        &mut self,
        request: &Request,
        side: Side,
        (status, energy): (Option<SideStatus>, Option<Energy>),
        arrival: &Arrival<'_>,
    ) -> Answer<Written> {
        let named = queries::trade_named(self.connection, &request.name)?;
        let row = match named {
            Some(trade) => queries::contract(self.connection, trade)?,
            None => None,
        };
        let Some(row) = row else { return Ok(Err(Refusal::NotFound)) };
        if row.side(side).server != request.caller {
            let is_party = row.side(side.opposite()).server == request.caller;
            let refusal = if is_party { Refusal::NotAuthorised } else { Refusal::NotFound };
            return Ok(Err(refusal));
        }
        let before = row.side(side).report;
        let report = SideReport {
            status: status.or(before.map(|it| it.status)).unwrap_or(SideStatus::Pending),
            energy: energy.or(before.and_then(|it| it.energy)),
            created: request.created,
        };
        if let Err(refusal) = check_report(&row, side, &report) {
            return Ok(Err(refusal));
        }
        if queries::contradicts(self.connection, request)? {
            return Ok(Err(other_body(request)));
        }
        let said = |it: &SideReport| (it.status, it.energy);
        let repeated = before.as_ref().map(said) == Some(said(&report));
        if !repeated {
            let document = self.keep_document(arrival)?;
            let mut tally = Tally::default();
            tally.count(Verdict::New);
            self.answer(&tally, arrival, document)?;
            let of = (row.contract.id, side);
            queries::put_report(self.connection, of, &report, document)?;
        }
        let row = queries::contract(self.connection, row.contract.id)?.unwrap_or(row);
        Ok(Ok(Written { row: Box::new(row), repeated }))
    }
}

/// A newer report is not replaced by an older one, and what is completed is what was allocated.
fn check_report(
    row: &queries::ContractRow,
    side: Side,
    report: &SideReport,
) -> Result<(), Refusal> {
    if let Some(before) = row.side(side).report
        && before.created > report.created
    {
        let (got, expected) = (report.created.to_string(), before.created.to_string());
        return Err(Refusal::Conflict { field: "created", got, expected });
    }
    let allocated = row.allocated(side);
    let status = match side {
        Side::Buy => "statusBuyerDiscom",
        Side::Sell => "statusSellerDiscom",
    };
    let conflict = |field, got: &str, expected: String| {
        Err(Refusal::Conflict { field, got: got.to_owned(), expected })
    };
    let name = report.status.name();
    if row.state.is_cancelled() && report.status != SideStatus::CancelledPolicy {
        return conflict(status, name, SideStatus::CancelledPolicy.name().to_owned());
    }
    if report.status == SideStatus::Completed && allocated.is_none() {
        return conflict(status, name, "both sides' readings, and a verification cycle".to_owned());
    }
    match (report.energy, allocated) {
        (Some(energy), Some(allocated)) if energy != allocated => {
            let got = format!("{} Wh", energy.wh());
            conflict("validationMetricValue", &got, format!("{} Wh", allocated.wh()))
        }
        (None, Some(allocated)) if report.status == SideStatus::Completed => {
            conflict("validationMetricValue", "nothing", format!("{} Wh", allocated.wh()))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn own_platform(row: &queries::ContractRow, side: Side) -> Party {
    let platform = match side {
        Side::Buy => row.contract.buy.platform,
        Side::Sell => row.contract.sell.platform,
    };
    Party { role: types::Role::Platform, number: platform.get() }
}

fn span_of(start: Timestamp, end: Timestamp) -> Option<types::DeliverySlot> {
    const MINUTE_NS: i64 = 60_000_000_000;
    let length = end.ns().checked_sub(start.ns())?;
    let minutes = u16::try_from(length.div_euclid(MINUTE_NS)).ok()?;
    (length.rem_euclid(MINUTE_NS) == 0)
        .then(|| types::DeliverySlot::starting_at(start, minutes).ok())?
}

fn other_body(request: &Request) -> Refusal {
    let got = request.reference.clone().unwrap_or_default();
    Refusal::Conflict { field: "clientReference", got, expected: "the body sent before".to_owned() }
}
