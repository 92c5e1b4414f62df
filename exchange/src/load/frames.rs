//! Everything a session will send, signed, encoded and sealed before the clock starts.

use ed25519_dalek::SigningKey;
use gateway::client::sign_new;
use types::{MeterId, PlatformId};
use wire::FrameBuilder;

use super::{
    Failure,
    market::Market,
    orders::{OrderSource, Style},
};

/// Sealed frames one behind another. The first has number 2: it follows the logon.
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
}

/// Makes the frames of platforms, one after the other.
#[derive(Debug)]
pub struct FrameSource {
    source: OrderSource,
    /// By number of the meter.
    keys: Vec<SigningKey>,
    signing: Signing,
}

impl FrameSource {
    /// For the meters of this market.
    #[must_use]
    pub fn new(market: &Market, seed: u64, signing: Signing) -> Self {
        let meters = 0..=market.setup.meters;
        let keys = meters.map(|number| market.meter_key(MeterId::new(number))).collect();
        Self { source: OrderSource::new(market, seed), keys, signing }
    }

    /// So many orders of a platform in frames of `frame_orders`, 1 to 256.
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
        let mut number = 1;
        for left in (0..orders).rev() {
            let order = self.source.next_of(platform, style).ok_or("the market has no slots")?;
            let key = self.keys.get(usize::try_from(order.meter.get())?);
            let key = key.ok_or_else(|| format!("meter {} has no key", order.meter))?;
            match self.signing {
                Signing::Order => builder.push(|out| sign_new(key, order).encode(out)),
            }
            if left == 0 || builder.messages() >= frame_orders {
                number += 1;
                builder.seal(number, &mut frames.bytes);
                frames.ends.push(frames.bytes.len());
            }
        }
        Ok(frames)
    }
}
