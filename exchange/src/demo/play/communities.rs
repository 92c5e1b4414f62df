//! Communities: delegations before the day, one order for all members in some slots.

use std::error::Error;

use gateway::client::AggregateTerms;
use types::{
    ClientOrderId, DeliverySlot, Member, Party, PlatformId, Role, Side, SlotKey, TimeInForce,
    Timestamp,
};

use super::{
    super::{community, trader::Intent},
    Day96,
};

/// For so long a member delegates: two days.
const DELEGATED_NS: i64 = 2 * 86_400_000_000_000;

impl Day96<'_> {
    /// Members of communities let their platforms trade for them.
    pub(super) async fn delegate(&mut self, first: DeliverySlot) -> Result<(), Box<dyn Error>> {
        let from = self.clock.now();
        let span = (from, first.start().plus_ns(DELEGATED_NS));
        for index in 0..self.traders.len() {
            if community::side_of(index).is_none() {
                continue;
            }
            let (dice, keys) = (self.actuals.dice, &self.cast.meter_keys);
            let members =
                self.meters_of(index).filter(|(meter, _)| community::is_member(dice, *meter));
            let delegations: Vec<_> = members
                .filter_map(|(meter, _)| community::delegation(keys, meter, platform(index), span))
                .map(|delegation| Intent::Delegate { delegation })
                .collect();
            self.carry_out(index, &delegations).await?;
        }
        Ok(())
    }

    /// One order of a platform for members of its community.
    pub(super) async fn trade_for(
        &mut self,
        index: usize,
        (key, side): (SlotKey, Side),
        members: &[Member],
        valid_until: Timestamp,
    ) -> Result<(), Box<dyn Error>> {
        let terms = AggregateTerms {
            client_order: ClientOrderId::new(0),
            key,
            side,
            limit: community::LIMIT,
            time_in_force: TimeInForce::UntilGate,
            valid_until,
        };
        let platform = platform(index);
        let party = Party { role: Role::Platform, number: platform.get() };
        let signer = self.cast.party_key(party);
        let Some(trader) = self.traders.get_mut(index) else { return Ok(()) };
        trader.trade_for((platform, &signer), terms, members).await?;
        self.told(index).await
    }
}

/// The platform with an index.
fn platform(index: usize) -> PlatformId {
    PlatformId::new(u16::try_from(index).unwrap_or(u16::MAX).saturating_add(1))
}
