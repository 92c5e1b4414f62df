//! `gridcross dry-run book`: written order-book cases through the real engine.
//!
//! Prices and quantities of a case are plain integers and accounts are names. Each case gets an
//! engine of its own: its prices become the levels of a market in their order, its accounts become
//! meters, its ids the numbers of a platform.

use std::collections::{BTreeMap, BTreeSet};

use replay::stage::{ORIGIN, Setup, Stage, key, order};
use serde::{Deserialize, Serialize};
use types::{
    CancelReason, ClientOrderId, Command, Energy, Event, MeterId, OrderId, OrderKind, OrderRequest,
    Price, ReduceOrder, RejectReason, ReplaceOrder, SelfTradeAction, Side, Signature,
    SignedReplaceOrder, TimeInForce, Timestamp, Trade,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// For people.
    #[serde(default, rename = "group")]
    _group: Option<String>,
    #[serde(default)]
    stp: Option<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    op: String,
    id: u64,
    side: Option<String>,
    qty: Option<i64>,
    price: Option<i64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    tif: Option<String>,
    #[serde(default)]
    post_only: bool,
    #[serde(default)]
    aon: bool,
    display: Option<i64>,
    acct: Option<serde_json::Value>,
    by: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    steps: Vec<StepLine>,
}

#[derive(Debug, Default, Serialize)]
struct StepLine {
    fills: Vec<Fill>,
    filled: u64,
    resting: u64,
    cancelled: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stp_cancelled: Vec<u64>,
    book: BookLine,
}

#[derive(Debug, Serialize)]
struct Fill {
    maker: u64,
    taker: u64,
    price: i64,
    qty: u64,
}

/// Price, quantity in view and orders of each level, best first.
#[derive(Debug, Default, Serialize)]
struct BookLine {
    bids: Vec<(i64, u64, u32)>,
    asks: Vec<(i64, u64, u32)>,
}

/// An order of a case as far as requests about it need it.
#[derive(Debug, Clone, Copy)]
struct Known {
    order: OrderId,
    client_order: ClientOrderId,
    meter: u32,
    limit: Price,
    leaves: u64,
}

/// A case on its stage.
struct Play {
    stage: Stage,
    /// The prices of the case: level 1 is the lowest.
    prices: Vec<i64>,
    meters: BTreeMap<String, u32>,
    meters_used: u32,
    /// By id of the case.
    known: BTreeMap<u64, Known>,
    /// Ids of the case by the engine's number.
    ids: BTreeMap<OrderId, u64>,
    requests: u64,
}

/// Runs one case: its line of output, or which field is wrong.
pub(super) fn run(case: &serde_json::Value) -> Result<String, String> {
    let case = Case::deserialize(case).map_err(|error| error.to_string())?;
    let mut play = Play::new(&case)?;
    let mut steps = Vec::with_capacity(case.steps.len());
    for (index, step) in case.steps.iter().enumerate() {
        steps.push(play.step(step).map_err(|message| format!("step {index}: {message}"))?);
    }
    let line = Line { name: &case.name, steps };
    serde_json::to_string(&line).map_err(|error| error.to_string())
}

impl Play {
    fn new(case: &Case) -> Result<Self, String> {
        let name = case.stp.as_deref().unwrap_or("none");
        let self_trade = match name {
            "none" => SelfTradeAction::Allow,
            other => SelfTradeAction::from_name(other)
                .ok_or_else(|| format!("field `stp`: `{other}` is not a way to prevent"))?,
        };
        let prices: BTreeSet<i64> = case.steps.iter().filter_map(|step| step.price).collect();
        let prices: Vec<i64> = prices.into_iter().collect();
        let count = |len: usize| u32::try_from(len).map_err(|_| "too many steps".to_owned());
        let steps = count(case.steps.len())?;
        let stage = Stage::new(&Setup {
            price_max: count(prices.len())?.max(2),
            books: 1,
            meters: steps.max(1),
            orders_max: steps.max(1),
            self_trade,
        });
        Ok(Self {
            stage,
            prices,
            meters: BTreeMap::new(),
            meters_used: 0,
            known: BTreeMap::new(),
            ids: BTreeMap::new(),
            requests: 0,
        })
    }

    fn step(&mut self, step: &Step) -> Result<StepLine, String> {
        self.requests += 1;
        let before = self.known.get(&step.id).copied();
        let events = match step.op.as_str() {
            "new" => self.new_order(step)?,
            "cancel" => self.cancel(before),
            "replace" => self.replace(step, before)?,
            "reduce" => self.reduce(step, before)?,
            other => return Err(format!("field `op`: `{other}` is not an operation")),
        };
        let mut line = StepLine::default();
        for event in &events {
            self.read(step.id, event, &mut line);
        }
        let after = self.known.get(&step.id).copied();
        if line.reject.is_none() {
            line.resting = after.map_or(0, |known| known.leaves);
        }
        if matches!(step.op.as_str(), "replace" | "reduce") && line.reject.is_none() {
            // What a change takes off a resting order counts as cancelled.
            let open = before.map_or(0, |known| known.leaves);
            let now = line.resting + line.filled + line.cancelled;
            line.cancelled += open.saturating_sub(now);
        }
        line.book = self.book();
        Ok(line)
    }

    fn new_order(&mut self, step: &Step) -> Result<Vec<Event>, String> {
        let side = match required("side", step.side.as_deref())? {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => return Err(format!("field `side`: `{other}` is neither buy nor sell")),
        };
        // An id that is open is a repeat; one that is done may be used again.
        let open = self.known.get(&step.id).filter(|known| known.leaves > 0);
        let client_order = open.map_or(ClientOrderId::new(self.requests), |o| o.client_order);
        let meter = self.meter(step.acct.as_ref());
        let mut signed = order(client_order.get(), meter, key(0), side);
        let new = &mut signed.order;
        (new.kind, new.limit) = match step.kind.as_deref().unwrap_or("limit") {
            "limit" => {
                let price = step.price.ok_or("field `price`: a limit order needs one")?;
                (OrderKind::Limit, self.level(price))
            }
            "market" => (OrderKind::Market, Price::default()),
            other => return Err(format!("field `type`: `{other}` is neither limit nor market")),
        };
        new.time_in_force = match step.tif.as_deref().unwrap_or("GTC") {
            "GTC" => TimeInForce::UntilGate,
            "IOC" => TimeInForce::ImmediateOrCancel,
            "FOK" => TimeInForce::FillOrKill,
            other => return Err(format!("field `tif`: `{other}` is not GTC, IOC or FOK")),
        };
        new.quantity = energy(step.qty.ok_or("field `qty`: an order needs one")?);
        new.conditions.post_only = step.post_only;
        new.conditions.all_or_none = step.aon;
        if let Some(display) = step.display {
            let display = energy(display);
            // Showing everything is no condition, and nor is what an order shows that never rests.
            let rests = new.kind == OrderKind::Limit && !new.time_in_force.is_immediate();
            if rests && display < new.quantity {
                new.conditions.display = display;
            }
        }
        let limit = new.limit;
        let events = self.stage.tell(Command::NewOrder(signed));
        if let Some(Event::OrderAccepted(accepted)) = events.first() {
            let leaves = accepted.quantity.wh();
            let known = Known { order: accepted.order, client_order, meter, limit, leaves };
            self.known.insert(step.id, known);
            self.ids.insert(accepted.order, step.id);
        }
        Ok(events)
    }

    fn cancel(&mut self, known: Option<Known>) -> Vec<Event> {
        let client_order = ClientOrderId::new(self.requests);
        let order = known.map_or(OrderId::new(0), |known| known.order);
        self.stage.tell(Command::CancelOrder(OrderRequest { origin: ORIGIN, client_order, order }))
    }

    fn reduce(&mut self, step: &Step, known: Option<Known>) -> Result<Vec<Event>, String> {
        let client_order = ClientOrderId::new(self.requests);
        let order = known.map_or(OrderId::new(0), |known| known.order);
        let by = energy(step.by.ok_or("field `by`: a reduction needs one")?);
        let reduce = ReduceOrder { origin: ORIGIN, client_order, order, by };
        Ok(self.stage.tell(Command::ReduceOrder(reduce)))
    }

    fn replace(&mut self, step: &Step, known: Option<Known>) -> Result<Vec<Event>, String> {
        if step.price.is_none() && step.qty.is_none() {
            return Err("field `price` or `qty`: a replacement needs one of them".to_owned());
        }
        let same = |known: Known| (known.order, known.meter, known.limit, known.leaves);
        let (order, meter, limit, leaves) =
            known.map_or((OrderId::new(0), 1, self.level(0), 1), same);
        let replace = ReplaceOrder {
            client_order: ClientOrderId::new(self.requests),
            order,
            meter: MeterId::new(meter),
            limit: step.price.map_or(limit, |price| self.level(price)),
            quantity: step.qty.map_or(Energy::from_wh(leaves), energy),
            valid_until: Timestamp::from_ns(i64::MAX),
        };
        let signature = Signature::new([0; 64]);
        let signed = SignedReplaceOrder { origin: ORIGIN, replace, signature };
        let events = self.stage.tell(Command::ReplaceOrder(signed));
        if let (Some(Event::OrderReplaced(replaced)), Some(known)) =
            (events.first(), self.known.get_mut(&step.id))
        {
            known.limit = replaced.limit;
        }
        Ok(events)
    }

    /// What an event adds to the line of a step about the order `id`.
    fn read(&mut self, id: u64, event: &Event, line: &mut StepLine) {
        if let Event::Trade(trade) = event {
            self.read_trade(id, trade, line);
        } else if let Event::OrderCancelled(cancelled) = event {
            let whose = self.ids.get(&cancelled.order).copied().unwrap_or(0);
            if whose == id {
                line.cancelled += cancelled.leaves.wh();
            } else if cancelled.reason == CancelReason::SelfTrade {
                line.stp_cancelled.push(whose);
            }
            self.set_leaves(whose, 0);
        } else if let Event::OrderReplaced(replaced) = event {
            self.set_leaves(id, replaced.leaves.wh());
        } else if let Event::OrderRestated(_) = event {
            line.reject = Some("duplicate_id");
        } else if let Event::OrderRejected(rejected) = event {
            line.reject = Some(reject_name(rejected.reason));
        }
    }

    fn read_trade(&mut self, id: u64, trade: &Trade, line: &mut StepLine) {
        let maker = if trade.maker == Some(Side::Buy) { &trade.buy } else { &trade.sell };
        let maker = self.ids.get(&maker.order).copied().unwrap_or(0);
        let qty = trade.quantity.wh();
        for side in [&trade.buy, &trade.sell] {
            let whose = self.ids.get(&side.order).copied().unwrap_or(0);
            self.set_leaves(whose, side.leaves.wh());
            if whose == id {
                line.filled += qty;
            }
        }
        line.fills.push(Fill { maker, taker: id, price: self.price(trade.price), qty });
    }

    fn set_leaves(&mut self, id: u64, leaves: u64) {
        if let Some(known) = self.known.get_mut(&id) {
            known.leaves = leaves;
        }
    }

    fn book(&self) -> BookLine {
        let depth = self.stage.engine.depth(key(0)).unwrap_or_default();
        let side = |levels: &[engine::DepthLevel]| {
            let levels = levels.iter();
            levels.map(|l| (self.price(l.price), l.quantity.wh(), l.orders)).collect()
        };
        BookLine { bids: side(&depth.buy), asks: side(&depth.sell) }
    }

    /// The meter of an account; one of its own for an order without.
    fn meter(&mut self, account: Option<&serde_json::Value>) -> u32 {
        let name = account.filter(|name| !name.is_null()).map(ToString::to_string);
        if let Some(&meter) = name.as_ref().and_then(|name| self.meters.get(name)) {
            return meter;
        }
        self.meters_used += 1;
        if let Some(name) = name {
            self.meters.insert(name, self.meters_used);
        }
        self.meters_used
    }

    /// The level of a price of the case.
    fn level(&self, price: i64) -> Price {
        let below = self.prices.partition_point(|&known| known < price);
        Price::from_micros(i64::try_from(below).map_or(1, |below| below + 1))
    }

    /// The price of the case behind a level.
    fn price(&self, level: Price) -> i64 {
        let index = usize::try_from(level.micros() - 1).ok();
        index.and_then(|index| self.prices.get(index)).copied().unwrap_or(0)
    }
}

fn required<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, String> {
    value.ok_or_else(|| format!("field `{field}`: missing"))
}

/// Quantities below zero are none.
fn energy(quantity: i64) -> Energy {
    Energy::from_wh(u64::try_from(quantity).unwrap_or(0))
}

fn reject_name(reason: RejectReason) -> &'static str {
    let of_quantity = [
        RejectReason::QuantityNotOnLot,
        RejectReason::QuantityAboveMaximum,
        RejectReason::QuantityBelowMinimum,
        RejectReason::CapacityExceeded,
    ];
    if reason == RejectReason::DuplicateClientOrder {
        "duplicate_id"
    } else if of_quantity.contains(&reason) {
        "bad_quantity"
    } else {
        reason.name()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    /// Successive fills of one maker at one price count as one.
    fn merged(fills: &Value) -> Vec<Value> {
        let mut merged: Vec<Value> = Vec::new();
        for fill in fills.as_array().unwrap() {
            let same = |last: &&mut Value| {
                ["maker", "taker", "price"].iter().all(|field| last[field] == fill[field])
            };
            if let Some(last) = merged.last_mut().filter(same) {
                last["qty"] = json!(last["qty"].as_u64().unwrap() + fill["qty"].as_u64().unwrap());
            } else {
                merged.push(fill.clone());
            }
        }
        merged
    }

    #[test]
    fn public_book_cases_come_out_as_published() {
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../cases/book.json")).unwrap();
        let expected: Vec<Value> =
            serde_json::from_str(include_str!("../../cases/book.expected.json")).unwrap();
        assert_eq!(cases.len(), expected.len());
        for (case, expected) in cases.iter().zip(&expected) {
            let name = &expected["name"];
            let got: Value = serde_json::from_str(&super::run(case).unwrap()).unwrap();
            assert_eq!(&got["name"], name);
            let steps = got["steps"].as_array().unwrap();
            let wanted = expected["expect"].as_array().unwrap();
            assert_eq!(steps.len(), wanted.len(), "{name}");
            for (index, (got, wanted)) in steps.iter().zip(wanted).enumerate() {
                for (field, value) in wanted.as_object().unwrap() {
                    if field == "fills" {
                        assert_eq!(merged(&got[field]), merged(value), "{name}, step {index}");
                    } else {
                        assert_eq!(&got[field], value, "{field} of {name}, step {index}");
                    }
                }
            }
        }
    }

    #[test]
    fn malformed_cases_name_the_field() {
        let new = json!({"op": "new", "id": 1, "side": "buy", "qty": 1, "price": 1,
            "type": "limit", "tif": "GTC"});
        let message = |field: &str, value: Value| {
            let mut step = new.clone();
            step[field] = value;
            super::run(&json!({"name": "x", "steps": [step]})).unwrap_err()
        };
        for (field, value) in [
            ("op", json!("erase")),
            ("side", json!("both")),
            ("type", json!("stop")),
            ("tif", json!("GTD")),
            ("qty", Value::Null),
            ("price", Value::Null),
        ] {
            let message = message(field, value);
            assert!(message.contains(field) && message.contains("step 0"), "{field}: {message}");
        }
        assert!(message("volume", json!(1)).contains("volume"));
        let case = json!({"name": "x", "stp": "maybe", "steps": [new]});
        assert!(super::run(&case).unwrap_err().contains("stp"));
    }
}
