//! What is open, for who has to be told of it whole.

use types::{ClientOrderId, Energy, MeterId, OrderId, PlatformId, Side};

use crate::{desk::energy, engine::Engine};

/// An open order, wherever it stands: in a queue, hibernating, or waiting for its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrder {
    /// Its number.
    pub order: OrderId,
    /// Its platform's number.
    pub client_order: ClientOrderId,
    /// For whom.
    pub meter: MeterId,
    /// Buy or sell.
    pub side: Side,
    /// Filled so far.
    pub filled: Energy,
    /// Still open.
    pub leaves: Energy,
}

impl Engine {
    /// The open orders of a platform, oldest first. Passes over every order there ever was.
    pub fn open_orders_of(&self, platform: PlatformId) -> impl Iterator<Item = OpenOrder> + '_ {
        let open = self
            .orders
            .iter()
            .filter(move |(_, order)| !order.is_done() && order.platform == platform);
        open.map(|(number, order)| OpenOrder {
            order: self.orders.id(number),
            client_order: order.client_order,
            meter: order.meter,
            side: order.side(),
            filled: energy(order.filled),
            leaves: energy(order.leaves),
        })
    }
}
