//! Who gets how much of an auction's volume: by time, or pro rata at an edge of the band.

use types::{Price, PriceRule, Side, share};

/// How orders at the margin share what is left for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// The oldest first.
    ByTime,
    /// In proportion to quantity: floor, then largest remainder, ties by time.
    ProRata,
}

/// How a rule shares at a price, in a market with this band.
#[must_use]
pub fn sharing(rule: PriceRule, price: Price, band: Option<(Price, Price)>) -> Sharing {
    let at_edge = band.is_some_and(|(low, high)| price == low || price == high);
    match rule {
        PriceRule::ProRataAtBand if at_edge => Sharing::ProRata,
        PriceRule::T7Clamp
        | PriceRule::XetraNearest
        | PriceRule::Euronext
        | PriceRule::Asx
        | PriceRule::CmeIop
        | PriceRule::Nse
        | PriceRule::Midpoint
        | PriceRule::ProRataAtBand => Sharing::ByTime,
    }
}

/// An order of a call that stands in no book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOrder {
    /// Buy or sell.
    pub side: Side,
    /// Its limit; `None` is a market order.
    pub limit: Option<Price>,
    /// Its full size, in Wh.
    pub quantity: u64,
    /// Smaller is earlier.
    pub time: u64,
}

impl CallOrder {
    /// Whether it trades at `price`.
    fn accepts(&self, price: Price) -> bool {
        match (self.side, self.limit) {
            (_, None) => true,
            (Side::Buy, Some(limit)) => limit >= price,
            (Side::Sell, Some(limit)) => limit <= price,
        }
    }

    /// Smaller is better: market orders, then by price; time comes after.
    fn priority(&self) -> (bool, i128) {
        let limit = self.limit.map_or(0, |limit| i128::from(limit.micros()));
        match self.side {
            Side::Buy => (self.limit.is_some(), -limit),
            Side::Sell => (self.limit.is_some(), limit),
        }
    }
}

/// What each order gets when `volume` Wh trade at `price`, in the order of `orders`.
///
/// Better-priced orders fill first and in full. Where sharing is pro rata, market orders stand at
/// the edge of the band, as the price does.
#[must_use]
pub fn allocate(orders: &[CallOrder], price: Price, volume: u64, sharing: Sharing) -> Vec<u64> {
    let mut fills = vec![0; orders.len()];
    for side in [Side::Buy, Side::Sell] {
        let mut queue: Vec<(usize, &CallOrder)> = orders
            .iter()
            .enumerate()
            .filter(|(_, order)| order.side == side && order.accepts(price))
            .collect();
        queue.sort_by_key(|(index, order)| (order.priority(), order.time, *index));
        let parts = match sharing {
            Sharing::ByTime => by_time(&queue, volume),
            Sharing::ProRata => {
                // Orders strictly better than the edge come first, then everyone at it.
                queue.sort_by_key(|(index, order)| {
                    let at_edge = order.limit.is_none_or(|limit| limit == price);
                    let priority = if at_edge { (true, 0) } else { order.priority() };
                    (at_edge, priority, order.time, *index)
                });
                at_edge(&queue, price, volume)
            }
        };
        for ((index, _), part) in queue.iter().zip(parts) {
            if let Some(fill) = fills.get_mut(*index) {
                *fill = part;
            }
        }
    }
    fills
}

fn by_time(queue: &[(usize, &CallOrder)], volume: u64) -> Vec<u64> {
    let mut left = volume;
    queue
        .iter()
        .map(|(_, order)| {
            let part = order.quantity.min(left);
            left -= part;
            part
        })
        .collect()
}

fn at_edge(queue: &[(usize, &CallOrder)], price: Price, volume: u64) -> Vec<u64> {
    let better =
        queue.partition_point(|(_, order)| order.limit.is_some_and(|limit| limit != price));
    let (better, edge) = queue.split_at(better);
    let mut parts = by_time(better, volume);
    let left = volume - parts.iter().sum::<u64>();
    let quantities: Vec<u64> = edge.iter().map(|(_, order)| order.quantity).collect();
    let total: u64 = quantities.iter().sum();
    parts.extend(share(&quantities, u128::from(left.min(total))));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictly_better_orders_never_share() {
        let order = |limit: Option<i64>, quantity, time| CallOrder {
            side: Side::Buy,
            limit: limit.map(Price::from_micros),
            quantity,
            time,
        };
        let edge = Price::from_micros(0);
        let orders = [order(Some(0), 60, 1), order(Some(5), 30, 3), order(None, 40, 2)];
        assert_eq!(allocate(&orders, edge, 80, Sharing::ProRata), [30, 30, 20]);
        assert_eq!(allocate(&orders, edge, 80, Sharing::ByTime), [10, 30, 40]);
    }
}
