//! The days after: bills fall due, defaults are recorded, and one buyer is suspended until it has paid.

use std::{collections::BTreeMap, error::Error};

use jiff::ToSpan as _;
use settlement::{
    Interval, MeterFile, Quality, Reading,
    allocation::Metered,
    books::accounts::{Account, AccountKind},
};
use types::{
    ContractTerms, DeliverySlot, Energy, MarketDefinition, MeterId, Money, Price, RejectReason,
    Seq, ShardMap, Side, TimeInForce, Timestamp, calendar,
};

use super::{
    super::{
        household,
        rail_desk::{Defaulter, Purses},
        strategy::RETAIL_MICROS,
        trader::Intent,
    },
    Day96, platform_of,
};

/// The first day on which the buyer is in default, and fined, and may still trade.
const AGAIN_DAY: i32 = 6;
/// So many days after that it is in default again, and suspended.
const SUSPENDED_DAYS: i32 = 5;
/// After it has paid: for others to pay too, and for what was earned to be paid out.
const LAST_DAYS: i32 = 4;
/// Quarter hour of the daily cycle: at six in the evening.
const CYCLE_QUARTER: usize = 72;
/// A day and its slot are looked for on so many days.
const DAYS_MAX: i32 = 60;
/// From the opening of a slot's book to the end of its delivery, and one more.
const QUARTERS_UNTIL_DELIVERED: i64 = 6;
const SECOND_NS: i64 = 1_000_000_000;
const QUARTER_NS: i64 = 900 * SECOND_NS;

/// A slot of a later day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Later {
    day: i32,
    pub(super) slot: DeliverySlot,
}

/// What became of who could not pay.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Story {
    /// Who, and under which contract at first.
    pub(in super::super) defaulter: Defaulter,
    /// The position at which an order of its was refused, and why.
    pub(in super::super) refused: (Seq, RejectReason),
    /// What it paid then, fines included.
    pub(in super::super) paid: Money,
    /// Whom it had not paid.
    pub(in super::super) seller: MeterId,
    /// What reached the seller by it.
    pub(in super::super) compensated: Money,
    /// The position at which the same order was taken.
    pub(in super::super) taken: Seq,
}

/// The slots of the days after: the same quarter hour, on days that the day's shard has.
pub(super) fn slots(
    market: &MarketDefinition,
    map: &ShardMap,
    (day, quarter): (DeliverySlot, usize),
) -> Result<[Later; 2], Box<dyn Error>> {
    let shard = map.of(market.key(day));
    let next = |from: i32| -> Result<Later, Box<dyn Error>> {
        for day in from..DAYS_MAX {
            let slot = slot_of(market, day, quarter)?;
            if map.of(market.key(slot)) == shard {
                return Ok(Later { day, slot });
            }
        }
        Err("no later day is at the day's shard".into())
    };
    let again = next(AGAIN_DAY)?;
    Ok([again, next(again.day.saturating_add(SUSPENDED_DAYS))?])
}

/// A quarter hour of a later day.
fn slot_of(
    market: &MarketDefinition,
    day: i32,
    quarter: usize,
) -> Result<DeliverySlot, Box<dyn Error>> {
    let date: jiff::civil::Date = household::DATE.parse()?;
    let date = date.checked_add(day.days())?.to_string();
    let slots = calendar::local_day(&date, market.time_zone.as_str(), market.slot_minutes)?;
    Ok(*slots.get(quarter).ok_or("a later day is too short")?)
}

impl Day96<'_> {
    /// Lets time run on until everybody has paid and what was earned is paid out, with a cycle each evening.
    pub(super) async fn days_after(
        &mut self,
        [again, back]: [Later; 2],
    ) -> Result<Option<Story>, Box<dyn Error>> {
        let who = self.rail.defaulter.and_then(|who| Some((who, *self.terms.get(&who.contract)?)));
        let mut story = None;
        for day in 1..=back.day.saturating_add(LAST_DAYS) {
            if let Some((who, terms)) = who {
                if day == again.day {
                    self.agree_again(again.slot, &terms).await?;
                }
                if day == back.day {
                    story = self.suspended_and_back(back.slot, who, &terms).await?;
                }
            }
            let evening = slot_of(&self.market, day, CYCLE_QUARTER)?.start();
            self.clock_to(evening.plus_ns(SECOND_NS)).await?;
            if day > back.day {
                self.all_pay().await?;
            }
            self.cycle().await?;
        }
        Ok(story)
    }

    /// A verification cycle, and what the rail has to do before and after it.
    async fn cycle(&mut self) -> Result<(), Box<dyn Error>> {
        self.rail_turn(Purses::AsTheyAre).await?;
        let before = self.shard.durable();
        self.verify().await?;
        self.suspensions_known(before).await?;
        self.rail_turn(Purses::AsTheyAre).await
    }

    /// Waits until the engine knows whom settlement suspended or let trade again since a position.
    async fn suspensions_known(&mut self, before: Seq) -> Result<(), Box<dyn Error>> {
        // Settlement has said it all before it answers the next question.
        let suspended = self.node.settlement.rail(|all, _| all.suspended()).await?;
        let is_news = |(meter, state): &(_, _)| self.suspended.get(*meter) != Some(*state);
        let news = u64::try_from(suspended.iter().filter(is_news).count())?;
        self.suspended = suspended;
        let known = before.get().saturating_add(news);
        let mut progress = self.shard.progress();
        progress.wait_for(|progress| progress.durable.get() >= known).await?;
        Ok(())
    }

    /// The same two neighbours agree on the same once more. It is delivered, and there is no money again.
    async fn agree_again(
        &mut self,
        slot: DeliverySlot,
        terms: &ContractTerms,
    ) -> Result<(), Box<dyn Error>> {
        let opened = self.market.opens_at(slot).plus_ns(SECOND_NS);
        self.clock_to(opened).await?;
        let key = self.market.key(slot);
        let expires = self.clock.now().plus_ns(QUARTER_NS);
        let terms = ContractTerms { key, expires, ..*terms };
        let offer = Intent::Offer { by: Side::Sell, terms };
        self.ask(platform_of(terms.seller), &[offer]).await?;
        let buyer = platform_of(terms.buyer);
        self.catch_up(buyer).await?;
        let invited = self.traders.get_mut(buyer).map(|one| std::mem::take(&mut one.invitations));
        let accept = |invitation| Intent::Accept { meter: terms.buyer, invitation };
        let answers: Vec<_> = invited.into_iter().flatten().map(accept).collect();
        self.ask(buyer, &answers).await?;
        self.deliver_slot_opened_at(opened).await?;
        for (meter, side) in [(terms.seller, Side::Sell), (terms.buyer, Side::Buy)] {
            let (injected, withdrawn) = match side {
                Side::Sell => (terms.quantity, Energy::ZERO),
                Side::Buy => (Energy::ZERO, terms.quantity),
            };
            let metered = Metered { injected, withdrawn };
            let readings = vec![Reading { meter, metered, quality: Quality::Measured }];
            let intervals = vec![Interval { start: slot.start(), readings }];
            let minutes = slot.minutes();
            let file = MeterFile { market: self.market.market, revision: 1, minutes, intervals };
            let household = usize::try_from(meter.get().saturating_sub(1))?;
            let household = self.actuals.day.households.get(household);
            let retailer = household.ok_or("a meter without a household")?.retailer;
            self.desks.report_file(retailer, &file).await?;
        }
        Ok(())
    }

    /// The call ends, the gate closes and the slot is delivered, each at its time.
    async fn deliver_slot_opened_at(&mut self, opened: Timestamp) -> Result<(), Box<dyn Error>> {
        for step in 1..=QUARTERS_UNTIL_DELIVERED {
            self.clock_to(opened.plus_ns(QUARTER_NS.saturating_mul(step))).await?;
        }
        self.settle_up().await
    }

    /// Its order is refused; it pays, and the same order is taken.
    async fn suspended_and_back(
        &mut self,
        slot: DeliverySlot,
        defaulter: Defaulter,
        terms: &ContractTerms,
    ) -> Result<Option<Story>, Box<dyn Error>> {
        let opened = self.market.opens_at(slot).plus_ns(SECOND_NS);
        self.clock_to(opened).await?;
        let key = self.market.key(slot);
        let order = Intent::New {
            meter: defaulter.meter,
            key,
            side: Side::Buy,
            time_in_force: TimeInForce::UntilGate,
            limit: Price::from_micros(RETAIL_MICROS),
            quantity: terms.quantity,
        };
        let Some(refused) = self.refusal(defaulter, order).await? else { return Ok(None) };
        let earned = self.earned(terms).await?;
        let paid = self.pays(defaulter.meter).await?;
        let compensated = Money::from_minor(self.earned(terms).await?.saturating_sub(earned));
        if self.refusal(defaulter, order).await?.is_some() {
            return Ok(None);
        }
        let taken = self.traders.get(platform_of(defaulter.meter)).map(|one| one.last_seq);
        let taken = taken.unwrap_or_default();
        self.deliver_slot_opened_at(opened).await?;
        let seller = terms.seller;
        Ok(Some(Story { defaulter, refused, paid, seller, compensated, taken }))
    }

    /// Sends an order; where and why it was refused, if it was.
    async fn refusal(
        &mut self,
        who: Defaulter,
        order: Intent,
    ) -> Result<Option<(Seq, RejectReason)>, Box<dyn Error>> {
        let index = platform_of(who.meter);
        let count = |day: &Self| day.traders.get(index).map_or(0, |one| one.counts.suspended);
        let before = count(self);
        self.carry_out(index, &[order]).await?;
        let seq = self.traders.get(index).map(|one| one.last_seq).unwrap_or_default();
        Ok((count(self) > before).then_some((seq, RejectReason::TradingSuspended)))
    }

    /// What the seller has earned by now.
    async fn earned(&self, terms: &ContractTerms) -> Result<i64, Box<dyn Error>> {
        let seller = terms.seller;
        let balances = self.node.settlement.rail(|all, _| all.balances()).await?;
        let own = balances
            .into_iter()
            .find(|(account, _)| *account == Account::of_meter(seller, AccountKind::Earned));
        Ok(own.map_or(0, |(_, minor)| minor))
    }

    /// Everything that a meter owes, fines included, comes over the rail; how much.
    async fn pays(&mut self, meter: MeterId) -> Result<Money, Box<dyn Error>> {
        let owed = self.owed().await?.get(&meter).copied().unwrap_or(0);
        if owed > 0 {
            let (now, before) = (self.clock.now(), self.shard.durable());
            self.rail.recover(now, meter, Money::from_minor(owed));
            self.rail_turn(Purses::AsTheyAre).await?;
            self.suspensions_known(before).await?;
        }
        Ok(Money::from_minor(owed))
    }

    /// Whoever still owes pays.
    async fn all_pay(&mut self) -> Result<(), Box<dyn Error>> {
        for meter in self.owed().await?.into_keys() {
            self.pays(meter).await?;
        }
        Ok(())
    }

    /// What is open, by who owes it.
    async fn owed(&self) -> Result<BTreeMap<MeterId, i64>, Box<dyn Error>> {
        let standings = self.node.settlement.rail(|all, _| all.standings()).await?;
        let mut owed = BTreeMap::new();
        for one in standings {
            let open = one.open.saturating_add(one.fines);
            let sum: &mut i64 = owed.entry(one.debtor).or_default();
            *sum = sum.saturating_add(open);
        }
        owed.retain(|_, sum| *sum > 0);
        Ok(owed)
    }
}
