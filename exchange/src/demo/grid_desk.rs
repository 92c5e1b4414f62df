//! Simulated utilities: they say where meters hang, and what their wires cannot take.
//!
//! - Before the day every meter is placed; the zone is its low-voltage grid.
//! - At a quarter to twelve the sunniest zone of each may trade three quarters of what it is expected to feed in,
//!   and a quarter hour after the book opened only half.
//! - Around noon, once an hour, some plants may feed in half of what they would.
//! - At a quarter past twelve all plants of one zone may, and its contracts share the cap.

use gateway::client::ClientError;
use settlement::{
    Curtailment, CurtailmentReason, GridLimit, MeterPoint, MeterPoints, PlaceName, ZoneCurtailment,
    seal,
};
use types::{DeliverySlot, Energy, MeterId, Party, Role, Side};

use wire::data::{RequestKind, SinceQuery};

use super::{household::Household, meter_desk::Desks};
use crate::questions::NoticeRow;

/// How long the exchange may take to answer a question when nothing is new.
const WAIT_SECONDS: u16 = 30;

/// Quarter hour in which a zone of each utility is curtailed: a quarter past twelve.
pub const ZONE_QUARTER: usize = 49;
/// Quarter hour for which trading in a zone of each utility is limited: a quarter to twelve.
pub const LIMIT_QUARTER: usize = 47;

impl Desks {
    /// Each utility says where its meters hang, from an instant on.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn place(
        &mut self,
        from_minute: u32,
        households: &[Household],
    ) -> Result<(), ClientError> {
        for utility in self.utility_parties() {
            let points = meters_of(utility, households).map(|(meter, household)| {
                let zone = Some(household.zone);
                (meter, MeterPoint { from_minute, zone, feeder: None, served_by: None })
            });
            let body = MeterPoints { revision: 1, points: points.collect() }.to_body();
            self.say(utility, &body).await?;
        }
        Ok(())
    }

    /// Signs and sends curtailments of single meters.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn curtail(
        &mut self,
        utility: Party,
        slot: DeliverySlot,
        caps: &[(MeterId, Energy)],
    ) -> Result<(), ClientError> {
        for &(meter, cap) in caps {
            let reason = CurtailmentReason::Outage;
            let body = Curtailment { meter, slot, cap, reason, revision: 1 }.to_body();
            self.say(utility, &body).await?;
            self.counts.curtailments = self.counts.curtailments.saturating_add(1);
        }
        Ok(())
    }

    /// Signs and sends the curtailment of what a zone injects.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn curtail_zone(
        &mut self,
        utility: Party,
        slot: DeliverySlot,
        (zone, cap): (PlaceName, Energy),
    ) -> Result<(), ClientError> {
        let reason = CurtailmentReason::Outage;
        let (side, revision) = (Side::Sell, 1);
        let body = ZoneCurtailment { zone, feeder: None, side, slot, cap, reason, revision };
        self.say(utility, &body.to_body()).await?;
        self.counts.curtailments = self.counts.curtailments.saturating_add(1);
        Ok(())
    }

    /// Signs and sends a limit of what a zone may trade to inject, and waits until it is in force.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn limit(
        &mut self,
        utility: Party,
        slot: DeliverySlot,
        (zone, limit): (PlaceName, Energy),
        revision: u32,
    ) -> Result<(), ClientError> {
        let (feeder, side) = (None, Side::Sell);
        let body = GridLimit { zone, feeder, side, slot, limit, revision }.to_body();
        self.say(utility, &body).await?;
        let Some(desk) = self.utilities.iter().find(|desk| desk.party == utility) else {
            return Ok(());
        };
        let mut query = SinceQuery { wait_seconds: WAIT_SECONDS, ..SinceQuery::default() };
        loop {
            let told = desk.client.since(RequestKind::Notices, query).await?;
            let rows: Vec<NoticeRow> =
                serde_json::from_str(&told).map_err(|_| ClientError::Unexpected)?;
            let is_it = |row: &NoticeRow| {
                row.what.starts_with("limit_")
                    && (row.zone == Some(zone.to_string()) && row.allowed_wh == limit.wh())
            };
            if rows.iter().any(is_it) {
                return Ok(());
            }
            query.after = rows.last().map_or(query.after, |row| row.notice);
        }
    }

    /// Every utility that takes part.
    #[must_use]
    pub fn utility_parties(&self) -> Vec<Party> {
        self.utilities.iter().map(|desk| desk.party).collect()
    }

    async fn say(&mut self, utility: Party, body: &[u8]) -> Result<(), ClientError> {
        let Some(desk) = self.utilities.iter().find(|desk| desk.party == utility) else {
            return Ok(());
        };
        let receipt = desk.client.submit(&seal(desk.party, &desk.key, body)).await?;
        self.counts.note(receipt);
        Ok(())
    }
}

/// The meters on a utility's wires.
pub fn meters_of(
    utility: Party,
    households: &[Household],
) -> impl Iterator<Item = (MeterId, &Household)> {
    let is_own = move |household: &Household| {
        utility == Party { role: Role::Utility, number: household.utility }
    };
    let meters = (1_u32..).map(MeterId::new).zip(households);
    meters.filter(move |(_, household)| is_own(household))
}
