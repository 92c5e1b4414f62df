//! Stops 12 to 18: what settlement knows of a trade.

use std::path::Path;

use settlement::{
    Contract, Pipeline, Policy, Settings, SettlementError, TransferLine,
    mechanism::LegKind,
    metering::Key,
    store,
    tlog::leaf::{self, OutcomeRecord},
};
use types::{Currency, MeterId, Seq, Trade};

use super::{Row, Status, stops::stop};

/// Stops of settlement.
const STOPS: std::ops::RangeInclusive<u8> = 12..=18;

/// What is known of one contract.
struct Known {
    own_leaf: u64,
    newest_leaf: u64,
    contract: Option<Contract>,
    outcome: Option<OutcomeRecord>,
    transfers: Vec<TransferLine>,
    /// Readings and curtailments of both meters in the slot, in words.
    documents: Vec<String>,
    /// Size and root of the newest checkpoint over the newest leaf.
    checkpoint: Option<String>,
}

/// The rows of every trade.
pub(super) fn rows(database: &Path, trades: &[(Seq, Trade)]) -> Result<Vec<Row>, SettlementError> {
    if trades.is_empty() {
        return Ok(Vec::new());
    }
    if !database.is_file() {
        let text = format!("there is no `{}`", database.display());
        let all = trades.iter().flat_map(|trade| without(trade, Status::NotRecorded, &text));
        return Ok(all.collect());
    }
    let pipeline = Pipeline::open_for_questions(database, settings()?)?;
    let mut rows = Vec::new();
    for trade in trades {
        match known(database, &pipeline, &trade.1)? {
            Some(known) => rows.extend(contract_rows(trade, &known)),
            None => {
                let text = format!("settlement has captured up to sequence {}", pipeline.cursor());
                rows.extend(without(trade, Status::NotYet, &text));
            }
        }
    }
    Ok(rows)
}

/// Questions need no policy and no key: nothing is decided or signed.
fn settings() -> Result<Settings, SettlementError> {
    let currency =
        Currency::from_iso("EUR").map_err(|error| SettlementError::Damaged(error.to_string()))?;
    Ok(Settings {
        policy: Policy::clearing_house(currency),
        ledger_origin: "trace".to_owned(),
        ledger_key_seed: [0; 32],
    })
}

fn without<'a>(
    (seq, trade): &'a (Seq, Trade),
    status: Status,
    text: &'a str,
) -> impl Iterator<Item = Row> + 'a {
    STOPS.map(move |number| Row {
        stop: stop(number),
        seq: *seq,
        trade: Some(trade.trade),
        status,
        text: text.to_owned(),
    })
}

fn known(
    database: &Path,
    pipeline: &Pipeline,
    trade: &Trade,
) -> Result<Option<Known>, SettlementError> {
    let Some((own_leaf, newest_leaf)) = pipeline.leaves_of(trade.trade)? else { return Ok(None) };
    let connection = store::open_read_only(&database.into())?;
    let contract =
        store::ledger::leaf(&connection, own_leaf)?.and_then(|bytes| leaf::decode_contract(&bytes));
    let mut documents = Vec::new();
    for (side, meter) in [("buyer", trade.buy.meter), ("seller", trade.sell.meter)] {
        let key = Key { meter, slot: trade.key.slot };
        for (revision, read) in store::intake::readings(&connection, &[key])?.into_iter().flatten()
        {
            documents.push(format!(
                "{side} (meter {meter}) revision {revision}: injected {}, withdrawn {}",
                read.0.injected, read.0.withdrawn
            ));
        }
        documents.extend(caps(side, meter, &store::intake::curtailments(&connection, key)?));
    }
    let (size, _) = pipeline.ledger_head();
    let checkpoint = store::ledger::checkpoint(&connection, size)?
        .filter(|newest| newest.frontier.size() > newest_leaf)
        .map(|newest| format!("{} leaves with root {}", newest.frontier.size(), newest.root));
    Ok(Some(Known {
        own_leaf,
        newest_leaf,
        contract,
        outcome: pipeline.outcome_of(trade.trade)?,
        transfers: pipeline.transfers_of(trade.trade)?,
        documents,
        checkpoint,
    }))
}

fn caps(side: &str, meter: MeterId, caps: &[(u32, store::intake::Cap)]) -> Vec<String> {
    let text = |(revision, (cap, reason)): &(u32, store::intake::Cap)| {
        format!(
            "{side} (meter {meter}) curtailed, revision {revision}: at most {cap}, reason {reason}"
        )
    };
    caps.iter().map(text).collect()
}

fn contract_rows((seq, trade): &(Seq, Trade), known: &Known) -> Vec<Row> {
    let row = |number, status, text| Row {
        stop: stop(number),
        seq: *seq,
        trade: Some(trade.trade),
        status,
        text,
    };
    let recorded = |number, text| row(number, Status::Recorded, text);
    let not_yet = |number, text: &str| row(number, Status::NotYet, text.to_owned());
    let mut rows = Vec::new();
    rows.push(match &known.contract {
        Some(contract) => recorded(12, captured(contract, known)),
        None => row(12, Status::NotRecorded, format!("leaf {} is no contract", known.own_leaf)),
    });
    if known.documents.is_empty() {
        rows.push(not_yet(13, "no reading of either meter in the slot"));
    }
    rows.extend(known.documents.iter().map(|text| recorded(13, text.clone())));
    if let Some(outcome) = &known.outcome {
        rows.push(recorded(14, allocated(outcome)));
        rows.push(recorded(15, decided(outcome)));
    } else {
        rows.push(not_yet(14, "no settlement run has looked at the contract"));
        rows.push(not_yet(15, "no settlement run has looked at the contract"));
    }
    rows.push(match &known.outcome {
        Some(outcome) => recorded(16, legs(known, outcome.run)),
        None => not_yet(16, "no settlement run has looked at the contract"),
    });
    if known.transfers.is_empty() {
        rows.push(not_yet(17, "nothing is posted under the contract"));
    }
    rows.extend(known.transfers.iter().map(|line| recorded(17, posted(line))));
    rows.push(match &known.checkpoint {
        Some(checkpoint) => recorded(18, format!("{}, under {checkpoint}", leaves(known))),
        None => not_yet(18, &format!("{}, not under a checkpoint", leaves(known))),
    });
    rows
}

fn captured(contract: &Contract, known: &Known) -> String {
    let holds = known.transfers.iter().filter(|line| line.leg == LegKind::Hold.code());
    let held: i64 = holds.map(|line| line.minor).fold(0, i64::saturating_add);
    format!(
        "contract {} from {}/{}: {} at {}, buyer meter {}, seller meter {}; {held} minor held",
        contract.id,
        contract.seq,
        contract.index,
        contract.energy,
        contract.price,
        contract.buy.meter,
        contract.sell.meter
    )
}

fn allocated(outcome: &OutcomeRecord) -> String {
    format!(
        "run {}: buyer {}, seller {}, method {} version {}",
        outcome.run,
        outcome.buyer_allocated,
        outcome.seller_allocated,
        outcome.method,
        outcome.method_version
    )
}

fn decided(outcome: &OutcomeRecord) -> String {
    let decided = &outcome.outcome;
    let due = &outcome.due;
    format!(
        "{}: settled {}, shortfall {}, excused {}; due in minor units: energy {}, take or pay {}, penalty {}",
        decided.state.name(),
        decided.settled,
        decided.shortfall,
        decided.excused,
        due.energy.minor(),
        due.take_or_pay.minor(),
        due.penalty.minor()
    )
}

/// The legs of the newest run.
fn legs(known: &Known, run: u16) -> String {
    let of_run = known.transfers.iter().filter(|line| line.run == run && !is_hold(line));
    let legs: Vec<_> = of_run.map(posted).collect();
    if legs.is_empty() { format!("run {run} moved no money") } else { legs.join("; ") }
}

/// Holds are numbered by themselves, not by run.
fn is_hold(line: &TransferLine) -> bool {
    line.leg == LegKind::Hold.code()
}

fn posted(line: &TransferLine) -> String {
    let name = LegKind::from_code(line.leg).map_or("unknown", LegKind::name);
    let what = if is_hold(line) { "number" } else { "run" };
    let reversal = if line.is_reversal { ", reversed" } else { "" };
    format!("{name} {} minor, {what} {}{reversal}", line.minor, line.run)
}

fn leaves(known: &Known) -> String {
    if known.own_leaf == known.newest_leaf {
        format!("leaf {}", known.own_leaf)
    } else {
        format!("leaf {}, outcome in leaf {}", known.own_leaf, known.newest_leaf)
    }
}
