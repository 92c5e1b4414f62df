//! What each platform owes in each market, and may owe: reserved for open orders, owed for trades.
//!
//! Amounts are nano-currency, the product of a price and an energy. A trade is never at a worse
//! price than the limit it releases, so what is in use only grows when an order is admitted.
//!
//! What is reserved follows from the open orders. It is counted along only where a limit is there to
//! compare it with; for all other accounts it is added up when somebody asks.

use std::collections::BTreeMap;

use types::{CreditLimit, CreditRelease, Money, PlatformId, Price, RejectReason, Side};

use crate::{engine::Engine, index::NONE, many::open_numbers, orders::Order};

/// One platform in one market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Most that may be in use; `None` for no limit.
    pub(crate) limit: Option<Money>,
    /// The same in nano-currency; unused without a limit.
    limit_nanos: i128,
    /// For open orders, while there is a limit.
    pub(crate) reserved: i128,
    /// For trades.
    pub(crate) owed: i128,
}

/// The accounts of all platforms, by index of the market and number of the platform.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    markets: Vec<Vec<Account>>,
}

/// What an order may come to owe for each Wh: a buy its limit, a sell what it would pay for being
/// taken at a negative price. Never negative.
/// Rule T-17.
#[inline(always)]
pub(crate) fn exposure(side: Side, price: Price) -> u64 {
    // The sign without a branch, since sides come as they like: −x is !x + 1.
    let flip = -i64::from(side.code());
    (price.micros() ^ flip).saturating_sub(flip).max(0).unsigned_abs()
}

/// `quantity` times what each Wh may come to owe, in nano-currency.
#[inline(always)]
pub(crate) fn amount(per_wh: u64, quantity: u32) -> i128 {
    i128::from(per_wh) * i128::from(quantity)
}

impl Account {
    /// Whether this much more fits.
    #[inline(always)]
    pub(crate) const fn has_room(&self, more: i128) -> bool {
        self.limit.is_none() || self.reserved + self.owed + more <= self.limit_nanos
    }
}

impl Credit {
    /// The account, if it was ever used.
    #[inline(always)]
    pub(crate) fn account(&self, market: u16, platform: PlatformId) -> Option<&Account> {
        self.markets.get(usize::from(market))?.get(usize::from(platform.get()))
    }

    /// Whether there is a limit for what a platform may owe in a market.
    #[inline(always)]
    pub(crate) fn has_limit(&self, market: u16, platform: PlatformId) -> bool {
        self.account(market, platform).is_some_and(|account| account.limit.is_some())
    }

    /// What an account with a limit has reserved.
    #[inline(always)]
    pub(crate) fn reserved_mut(&mut self, market: u16, platform: PlatformId) -> Option<&mut i128> {
        let accounts = self.markets.get_mut(usize::from(market))?;
        let account = accounts.get_mut(usize::from(platform.get()))?;
        if account.limit.is_some() { Some(&mut account.reserved) } else { None }
    }

    /// The account, opened now if it is the first use of it.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; opened just before")]
    pub(crate) fn account_mut(&mut self, market: u16, platform: PlatformId) -> &mut Account {
        let (market, platform) = (usize::from(market), usize::from(platform.get()));
        if self.markets.get(market).is_none_or(|accounts| accounts.len() <= platform) {
            self.open(market, platform);
        }
        &mut self.markets[market][platform]
    }

    #[cold]
    fn open(&mut self, market: usize, platform: usize) {
        if self.markets.len() <= market {
            self.markets.resize_with(market + 1, Vec::new);
        }
        if let Some(accounts) = self.markets.get_mut(market) {
            accounts.resize((platform + 1).next_power_of_two(), Account::default());
        }
    }

    /// Sets what a platform may owe. `per_minor` is nano-currency, as is what is reserved now.
    pub(crate) fn set_limit(
        &mut self,
        market: u16,
        new: &CreditLimit,
        per_minor: i128,
        reserved: i128,
    ) -> Result<(), RejectReason> {
        if new.limit.minor() < 0 {
            return Err(RejectReason::InvalidCredit);
        }
        let account = self.account_mut(market, new.platform);
        account.reserved = reserved;
        account.limit = Some(new.limit);
        account.limit_nanos = i128::from(new.limit.minor()) * per_minor;
        Ok(())
    }

    /// Takes off what a platform has paid. `per_minor` is nano-currency.
    pub(crate) fn release(
        &mut self,
        market: u16,
        release: &CreditRelease,
        per_minor: i128,
    ) -> Result<(), RejectReason> {
        let amount = i128::from(release.amount.minor()) * per_minor;
        let account = self.account_mut(market, release.platform);
        if amount < 0 || amount > account.owed {
            return Err(RejectReason::InvalidCredit);
        }
        account.owed -= amount;
        Ok(())
    }

    /// Accounts that were ever opened: index of the market, number of the platform.
    fn accounts(&self) -> impl Iterator<Item = (u16, PlatformId, &Account)> {
        (0..).zip(&self.markets).flat_map(|(market, accounts)| {
            (0u32..).zip(accounts).filter_map(move |(platform, account)| {
                Some((market, PlatformId::new(u16::try_from(platform).ok()?), account))
            })
        })
    }
}

impl Engine {
    /// What an open order reserves.
    pub(crate) fn reserves(&self, order: &Order) -> i128 {
        let market = self.registry.market(self.slots.slot(order.slot).market);
        let worst = market.worst_price(order.side(), order.level);
        amount(exposure(order.side(), worst), order.leaves)
    }

    /// What the open orders of a platform in a market reserve.
    pub(crate) fn reserved(&self, market: u16, platform: PlatformId) -> i128 {
        let mut numbers = Vec::new();
        for slot in self.slots.iter().filter(|slot| slot.market == market && slot.book != NONE) {
            open_numbers(self.slots.book(slot.book), &self.orders, &mut numbers);
        }
        let open = numbers.iter().map(|&number| self.orders.get(number));
        open.filter(|order| order.platform == platform).map(|order| self.reserves(order)).sum()
    }

    /// Accounts that are in use or have a limit, with what is reserved, by index of the market and
    /// number of the platform.
    pub(crate) fn accounts(&self) -> BTreeMap<(u16, PlatformId), Account> {
        let opened = self.credit.accounts();
        let mut accounts: BTreeMap<_, _> = opened
            .map(|(market, platform, account)| {
                ((market, platform), Account { reserved: 0, ..*account })
            })
            .collect();
        for (_, order) in self.orders.iter().filter(|(_, order)| !order.is_done()) {
            let market = self.slots.slot(order.slot).market;
            let account = accounts.entry((market, order.platform)).or_default();
            account.reserved += self.reserves(order);
        }
        accounts.retain(|_, account| *account != Account::default());
        accounts
    }
}
