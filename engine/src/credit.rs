//! What each platform owes in each market, and may owe: reserved for open orders, owed for trades.
//!
//! Amounts are nano-currency, the product of a price and an energy. A trade is never at a worse
//! price than the limit it releases, so what is in use only grows when an order is admitted.

use types::{CreditLimit, CreditRelease, Money, PlatformId, Price, RejectReason, Side};

/// One platform in one market.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Most that may be in use; `None` for no limit.
    pub(crate) limit: Option<Money>,
    /// The same in nano-currency; unused without a limit.
    limit_nanos: i128,
    /// For open orders.
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
#[inline]
pub(crate) fn exposure(side: Side, price: Price) -> u64 {
    let owed = match side {
        Side::Buy => price.micros(),
        Side::Sell => price.micros().saturating_neg(),
    };
    owed.max(0).unsigned_abs()
}

/// `quantity` times what each Wh may come to owe, in nano-currency.
#[inline]
pub(crate) fn amount(per_wh: u64, quantity: u32) -> i128 {
    i128::from(per_wh) * i128::from(quantity)
}

impl Account {
    /// Whether this much more fits.
    #[inline]
    pub(crate) const fn has_room(&self, more: i128) -> bool {
        self.limit.is_none() || self.reserved + self.owed + more <= self.limit_nanos
    }
}

impl Credit {
    /// The account, if it was ever used.
    #[inline]
    pub(crate) fn account(&self, market: u16, platform: PlatformId) -> Option<&Account> {
        self.markets.get(usize::from(market))?.get(usize::from(platform.get()))
    }

    /// The account, opened now if it is the first use of it.
    #[inline]
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

    /// Sets what a platform may owe. `per_minor` is nano-currency.
    pub(crate) fn set_limit(
        &mut self,
        market: u16,
        new: &CreditLimit,
        per_minor: i128,
    ) -> Result<(), RejectReason> {
        if new.limit.minor() < 0 {
            return Err(RejectReason::InvalidCredit);
        }
        let account = self.account_mut(market, new.platform);
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

    /// Accounts that are in use or have a limit: index of the market, number of the platform.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (u16, PlatformId, &Account)> {
        (0..).zip(&self.markets).flat_map(|(market, accounts)| {
            (0u32..)
                .zip(accounts)
                .filter(|(_, account)| **account != Account::default())
                .filter_map(move |(platform, account)| {
                    Some((market, PlatformId::new(u16::try_from(platform).ok()?), account))
                })
        })
    }
}
