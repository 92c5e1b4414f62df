//! What the exchange reports of an order, as rows and as sentences.

use std::ops::ControlFlow;

use serde::Serialize;
use types::{ClientOrderId, RejectReason, event::CancelReason};
use wire::outbound::{ExecType, ExecutionReport};

use super::connect::{energy_text, instant_text, price_text};
use crate::{
    exit::Failure,
    output::{self, Format},
};

/// Whether nothing more can happen to the order.
pub(super) fn is_last(report: &ExecutionReport) -> bool {
    use ExecType::{Cancelled, Expired, Replaced, Status, Trade, Validated};
    matches!(report.exec_type, Cancelled | Expired | Validated)
        || (matches!(report.exec_type, Trade | Status | Replaced) && report.leaves.is_zero())
}

/// A report as a row.
#[derive(Debug, Serialize)]
struct Row {
    time: String,
    report: &'static str,
    order: u64,
    client_order: u64,
    side: Option<&'static str>,
    price: Option<String>,
    quantity_wh: u64,
    leaves_wh: u64,
    trade: Option<u64>,
    reason: Option<&'static str>,
    seq: u64,
}

/// Prints reports as they come: rows that stand together at the end, lines at once.
pub(super) struct Printer {
    format: Format,
    client_order: ClientOrderId,
    rows: Vec<Row>,
}

impl Printer {
    pub(super) const fn new(format: Format, client_order: ClientOrderId) -> Self {
        Self { format, client_order, rows: Vec::new() }
    }

    /// Breaks when nobody reads any more.
    pub(super) fn print(
        &mut self,
        reports: &[ExecutionReport],
    ) -> Result<ControlFlow<()>, Failure> {
        for report in reports {
            let flow = match self.format {
                Format::Human => output::print_on(&sentence(report, self.client_order))?,
                Format::Ndjson => {
                    let row = serde_json::to_string(&row(report)).map_err(Failure::runtime)?;
                    output::print_on(&format!("{row}\n"))?
                }
                Format::Json | Format::Csv => {
                    self.rows.push(row(report));
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Prints what stands together.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.format {
            Format::Human | Format::Ndjson => Ok(()),
            Format::Json | Format::Csv => output::print_rows(&self.rows, self.format),
        }
    }
}

fn row(report: &ExecutionReport) -> Row {
    let told = matches!(report.exec_type, ExecType::New | ExecType::Trade | ExecType::Replaced);
    Row {
        time: instant_text(report.time),
        report: name(report.exec_type),
        order: report.order.get(),
        client_order: report.client_order.get(),
        side: report.side.map(types::Side::name),
        price: told.then(|| price_text(report.price)),
        quantity_wh: report.quantity.wh(),
        leaves_wh: report.leaves.wh(),
        trade: (report.trade.get() > 0).then(|| report.trade.get()),
        reason: Some(reason(report)).filter(|reason| !reason.is_empty()),
        seq: report.seq.get(),
    }
}

const fn name(kind: ExecType) -> &'static str {
    match kind {
        ExecType::New => "accepted",
        ExecType::Trade => "filled",
        ExecType::Cancelled => "cancelled",
        ExecType::Replaced => "replaced",
        ExecType::Expired => "expired",
        ExecType::Status => "status",
        ExecType::Hibernated => "hibernated",
        ExecType::Activated => "activated",
        ExecType::Validated => "validated",
        ExecType::Rejected
        | ExecType::CancelRejected
        | ExecType::ReplaceRejected
        | ExecType::ReduceRejected
        | ExecType::HibernateRejected
        | ExecType::ActivateRejected
        | ExecType::MassCancelRejected
        | ExecType::ValidateRejected
        | ExecType::StatusRejected => "refused",
    }
}

/// Why an order ended.
fn reason(report: &ExecutionReport) -> &'static str {
    if matches!(report.exec_type, ExecType::Cancelled | ExecType::Expired) {
        let code = u8::try_from(report.reason).ok();
        return code.and_then(CancelReason::from_code).map_or("", cancel_reason);
    }
    RejectReason::from_code(report.reason).map_or("", RejectReason::name)
}

/// The reason of a cancellation in words.
pub(super) const fn cancel_reason(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Requested => "requested",
        CancelReason::ImmediateOrCancel => "immediate_or_cancel",
        CancelReason::SelfTrade => "self_trade",
        CancelReason::GateClosed => "gate_closed",
        CancelReason::Expired => "expired",
        CancelReason::FillOrKill => "fill_or_kill",
        CancelReason::MassCancel => "mass_cancel",
        CancelReason::Killed => "killed",
        CancelReason::NoLiquidity => "no_liquidity",
        CancelReason::List => "list",
        CancelReason::TradeLimit => "trade_limit",
        CancelReason::GridLimit => "grid_limit",
        CancelReason::AuctionCancelled => "auction_cancelled",
    }
}

/// A report for people.
fn sentence(report: &ExecutionReport, client_order: ClientOrderId) -> String {
    let order = report.order.get();
    let (price, quantity) = (price_text(report.price), energy_text(report.quantity));
    let leaves = energy_text(report.leaves);
    let side = report.side.map_or("", types::Side::name);
    match report.exec_type {
        ExecType::New => format!(
            "accepted: order {order}, {side} {quantity} kWh at {price} (client order {})\n",
            client_order.get()
        ),
        ExecType::Trade => format!(
            "filled: order {order}, {quantity} kWh at {price} in trade {}, {leaves} kWh open\n",
            report.trade.get()
        ),
        ExecType::Validated => {
            format!("would be accepted; nothing was done (client order {})\n", client_order.get())
        }
        ExecType::Status => {
            format!("known: order {order}, {quantity} kWh filled, {leaves} kWh open\n")
        }
        ExecType::Replaced => format!("replaced: order {order}, {leaves} kWh open at {price}\n"),
        ExecType::Cancelled | ExecType::Expired => format!(
            "{}: order {order}, {leaves} kWh did not fill ({})\n",
            name(report.exec_type),
            reason(report)
        ),
        ExecType::Hibernated | ExecType::Activated => {
            format!("{}: order {order}, {leaves} kWh open\n", name(report.exec_type))
        }
        ExecType::Rejected
        | ExecType::CancelRejected
        | ExecType::ReplaceRejected
        | ExecType::ReduceRejected
        | ExecType::HibernateRejected
        | ExecType::ActivateRejected
        | ExecType::MassCancelRejected
        | ExecType::ValidateRejected
        | ExecType::StatusRejected => format!("refused: {}\n", reason(report)),
    }
}
