//! Everything a session will send, signed, encoded and sealed before the clock starts.

use ed25519_dalek::SigningKey;
use gateway::client::{FrameToSign, sign_delegation, sign_new};
use types::{
    ClientOrderId, Delegation, Energy, MarketId, MeterId, Party, PlatformId, Role, Sides, Timestamp,
};
use wire::{FrameBuilder, Inbound, frame::FRAME_MESSAGES_MAX};

use super::{
    Failure,
    market::Market,
    orders::{OrderSource, Style},
};
use crate::init;

/// Sealed frames one behind another. The first follows the logon and what opens the session.
#[derive(Debug, Default)]
pub struct Frames {
    /// As they go over the stream.
    pub bytes: Vec<u8>,
    /// By frame: where it ends in `bytes`.
    pub ends: Vec<usize>,
    /// Orders in each frame but the last, which may have fewer.
    pub frame_orders: u64,
    /// Orders in all frames. Their numbers, `client_order`, count up from 1.
    pub orders: u64,
}

impl Frames {
    /// The bytes of the frames from one up to, not including, another.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> &[u8] {
        let end_of = |frames: usize| {
            frames.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
        };
        self.bytes.get(end_of(from)..end_of(to)).unwrap_or_default()
    }

    /// How many frames there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// How orders are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// Each by the key of its meter
    Order,
    /// All of a frame by the key of the platform, under delegations of the meters
    Frame,
}

/// Makes the frames of platforms, one after the other.
#[derive(Debug)]
pub struct FrameSource<'a> {
    market: &'a Market,
    source: OrderSource,
    /// By number of the meter.
    keys: Vec<SigningKey>,
    signing: Signing,
}

impl<'a> FrameSource<'a> {
    /// For the meters of this market.
    #[must_use]
    pub fn new(market: &'a Market, seed: u64, signing: Signing) -> Self {
        let meters = 0..=market.setup.meters;
        let keys = meters.map(|number| market.meter_key(MeterId::new(number))).collect();
        Self { market, source: OrderSource::new(market, seed), keys, signing }
    }

    /// What a platform asks for before its first order: the delegations of its meters, where it signs
    /// for them. Their numbers, `client_order`, lie above those of all orders.
    #[must_use]
    pub fn opening(&self, platform: PlatformId) -> Vec<Inbound> {
        if self.signing == Signing::Order {
            return Vec::new();
        }
        let meters = (1..self.keys.len()).zip(self.keys.iter().skip(1));
        meters
            .filter_map(|(number, key)| {
                let meter = MeterId::new(u32::try_from(number).ok()?);
                let client_order =
                    ClientOrderId::new(u64::MAX.saturating_sub(u64::from(meter.get())));
                let delegation = Delegation {
                    number: 1,
                    meter,
                    platform,
                    market: MarketId::new(0),
                    sides: Sides::Both,
                    quantity_max: Energy::ZERO,
                    buy_limit: Delegation::ANY_BUY,
                    sell_limit: Delegation::ANY_SELL,
                    valid_from: Timestamp::from_ns(0),
                    valid_until: Timestamp::from_ns(i64::MAX),
                    key: init::public_key(key).id(),
                };
                let is_own = self.market.platform_of(meter) == platform;
                is_own.then(|| sign_delegation(key, client_order, delegation))
            })
            .collect()
    }

    /// So many orders of a platform in frames of `frame_orders`: 1 to 256, of which a signature takes
    /// one.
    ///
    /// # Errors
    /// When the market has no slots.
    pub fn frames(
        &mut self,
        platform: PlatformId,
        orders: u64,
        frame_orders: u16,
        style: Style,
    ) -> Result<Frames, Failure> {
        let mut frames =
            Frames { frame_orders: frame_orders.max(1).into(), orders, ..Frames::default() };
        let mut builder = FrameBuilder::default();
        let mut to_sign = FrameToSign::default();
        let party = Party { role: Role::Platform, number: platform.get() };
        let platform_key = self.market.party_key(party);
        // Behind the logon and what opens the session.
        let opening = self.opening(platform).len().div_ceil(FRAME_MESSAGES_MAX.into());
        let mut number = 1 + u64::try_from(opening)?;
        let mut in_frame = 0;
        for left in (0..orders).rev() {
            let order = self.source.next_of(platform, style).ok_or("the market has no slots")?;
            let key = self.keys.get(usize::try_from(order.meter.get())?);
            let key = key.ok_or_else(|| format!("meter {} has no key", order.meter))?;
            match self.signing {
                Signing::Order => builder.push(|out| sign_new(key, order).encode(out)),
                Signing::Frame => to_sign.push(order),
            }
            in_frame += 1;
            if left == 0 || in_frame >= frame_orders {
                if self.signing == Signing::Frame {
                    for message in std::mem::take(&mut to_sign).sign(&platform_key, platform) {
                        builder.push(|out| message.encode(out));
                    }
                }
                number += 1;
                in_frame = 0;
                builder.seal(number, &mut frames.bytes);
                frames.ends.push(frames.bytes.len());
            }
        }
        Ok(frames)
    }
}
