//! What a book reports for a flow.

/// Odd constants that spread bits: two of the golden ratio's and one prime of FNV-1a.
const SPREAD_FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD_SECOND: u64 = 0xc2b2_ae3d_27d4_eb4f;
const SPREAD_THIRD: u64 = 0x1656_67b1_9e37_79f9;
const CHAIN: u64 = 0x0000_0100_0000_01b3;

/// Sums and chained hashes over all fills, those of the opening included, and over the best prices at
/// the end. Two books that agree on it agree on every fill, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowResult {
    /// Matches of one taker with one maker.
    pub trades: u64,
    /// Lots traded.
    pub volume: u64,
    /// Price times quantity of every trade, modulo 2^64.
    pub notional: u64,
    /// Names the sequence of fills.
    pub fill_hash: u64,
    /// Names the best prices of all books at the end.
    pub best_price_hash: u64,
}

impl FlowResult {
    /// Counts one match. Called in the order in which the book matches.
    #[inline]
    pub fn fill(&mut self, taker: u64, maker: u64, price: u32, quantity: u32) {
        let (price, quantity) = (u64::from(price), u64::from(quantity));
        self.trades = self.trades.wrapping_add(1);
        self.volume = self.volume.wrapping_add(quantity);
        self.notional = self.notional.wrapping_add(price.wrapping_mul(quantity));
        let fill = taker.wrapping_mul(SPREAD_FIRST)
            ^ maker.wrapping_mul(SPREAD_SECOND)
            ^ ((price << 32) | quantity).wrapping_mul(SPREAD_THIRD);
        self.fill_hash = (self.fill_hash.rotate_left(5) ^ fill).wrapping_mul(CHAIN);
    }

    /// Counts the best prices of one book, if it has any. Called for every book in its order, after the
    /// last operation.
    pub fn fold_best_prices(&mut self, bid: Option<u32>, ask: Option<u32>) {
        let bid = u64::from(bid.unwrap_or(0)).wrapping_mul(SPREAD_FIRST);
        let ask = u64::from(ask.unwrap_or(0)).wrapping_mul(SPREAD_SECOND);
        let chained = self.best_price_hash.rotate_left(7) ^ bid ^ ask;
        self.best_price_hash = chained.wrapping_mul(CHAIN);
    }
}
