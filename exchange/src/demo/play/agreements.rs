//! What neighbours agree on, and what they change of it.

use std::{collections::BTreeMap, error::Error};

use types::{AmendmentTerms, ContractTerms, OfferId, Side};
use wire::outbound::ContractState;

use super::{
    super::{
        changes::{self, Contract},
        neighbours::{self, Forecast},
        trader::{Answered, Intent},
    },
    Day96, platform_of,
};

/// How long a neighbour may think about a contract or a change: half an hour.
const CONSIDERATION_NS: i64 = 1_800_000_000_000;

impl Day96<'_> {
    /// Neighbours agree directly on the slot that opened: every platform offers, then every platform
    /// answers what it was invited to.
    pub(super) async fn negotiate(&mut self, step: usize) -> Result<(), Box<dyn Error>> {
        let Some(&slot) = self.slots.get(step) else { return Ok(()) };
        let key = self.market.key(slot);
        let expires = self.clock.now().plus_ns(CONSIDERATION_NS);
        let forecasts = self.forecasts(self.first_quarter.saturating_add(step));
        let dice = self.actuals.dice;
        let offers = neighbours::offers(dice, &self.market, key, &forecasts, expires);
        for index in 0..self.traders.len() {
            let own = offers.iter().filter(|(platform, _)| *platform == index);
            let own: Vec<_> =
                own.map(|&(_, terms)| Intent::Offer { by: Side::Sell, terms }).collect();
            self.ask(index, &own).await?;
        }
        for index in 0..self.traders.len() {
            self.catch_up(index).await?;
            let Some(trader) = self.traders.get_mut(index) else { continue };
            let invitations = std::mem::take(&mut trader.invitations);
            let offered: BTreeMap<OfferId, ContractTerms> =
                invitations.iter().map(|invited| (invited.offer, invited.terms)).collect();
            let answers: Vec<_> =
                invitations.iter().map(|invited| neighbours::answer(dice, invited)).collect();
            for Answered { offer, trade, .. } in agreed(&self.ask(index, &answers).await?) {
                if let Some(&terms) = offered.get(&offer) {
                    self.agreed.note(&terms);
                    self.terms.insert(trade, terms);
                    self.contracts.push(Contract { trade, terms });
                }
            }
        }
        Ok(())
    }

    /// Neighbours change what they agreed on a quarter hour ago: every platform asks, then every
    /// platform answers.
    pub(super) async fn change(&mut self, step: usize) -> Result<(), Box<dyn Error>> {
        let contracts = std::mem::take(&mut self.contracts);
        let next = self.slots.get(step).map(|&slot| self.market.key(slot));
        let expires = self.clock.now().plus_ns(CONSIDERATION_NS);
        let dice = self.actuals.dice;
        let requests: Vec<_> = contracts
            .iter()
            .filter_map(|contract| changes::request(dice, &self.market, contract, next, expires))
            .collect();
        for index in 0..self.traders.len() {
            let own: Vec<_> = requests
                .iter()
                .filter(|(by, terms)| platform_of(terms.meter(*by)) == index)
                .map(|&(by, terms)| Intent::OfferChange { by, terms })
                .collect();
            self.ask(index, &own).await?;
        }
        for index in 0..self.traders.len() {
            self.catch_up(index).await?;
            let Some(trader) = self.traders.get_mut(index) else { continue };
            let invitations = std::mem::take(&mut trader.change_invitations);
            let asked: BTreeMap<OfferId, AmendmentTerms> =
                invitations.iter().map(|invited| (invited.offer, invited.terms)).collect();
            let answers: Vec<_> =
                invitations.iter().map(|invited| changes::answer(dice, invited)).collect();
            let answered = self.ask(index, &answers).await?;
            for Answered { offer, .. } in agreed(&answered) {
                if let Some(terms) = asked.get(&offer) {
                    self.agreed.change(terms);
                }
            }
            let declined =
                answered.iter().filter(|answered| answered.state == ContractState::Declined);
            self.declined.extend(declined.filter_map(|answered| asked.get(&answered.offer)));
        }
        Ok(())
    }

    /// Carries out intents of a platform and gives what became of those about contracts.
    pub(super) async fn ask(
        &mut self,
        index: usize,
        intents: &[Intent],
    ) -> Result<Vec<Answered>, Box<dyn Error>> {
        self.carry_out(index, intents).await?;
        let trader = self.traders.get_mut(index);
        Ok(trader.map(|trader| std::mem::take(&mut trader.answered)).unwrap_or_default())
    }

    /// What every meter will do in a quarter hour.
    fn forecasts(&self, quarter: usize) -> Vec<Forecast> {
        (0..self.traders.len())
            .flat_map(|platform| {
                self.meters_of(platform).map(move |(meter, household)| Forecast {
                    meter,
                    platform,
                    retailer: household.retailer,
                    metered: self.actuals.day.metered(household, quarter),
                })
            })
            .collect()
    }
}

fn agreed(answered: &[Answered]) -> impl Iterator<Item = Answered> + '_ {
    answered.iter().copied().filter(|answered| answered.state == ContractState::Agreed)
}
