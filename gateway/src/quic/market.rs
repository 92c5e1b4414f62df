//! Market data subscriptions: read whole, checked, handed on. Everyone may subscribe.

use quinn::{Connection, RecvStream, SendStream};
use tokio::time::timeout;
use types::{Party, RejectReason};
use wire::{
    FrameBuilder, FrameDecoder, MarketMessage,
    feed::Subscribe,
    frame::Frame,
    market::{Selection, SubscriptionRejected},
};

use super::{CloseCode, HANDSHAKE_MAX, MarketSubscriber, Shared};

/// Bytes that are on their way to a subscriber and not acknowledged: what it is sent is that old at
/// most when it is slow.
const SEND_WINDOW_BYTES: u64 = 1 << 20;

/// Reads the subscription and hands the stream on. Market data closes the connection later.
pub(super) async fn serve(
    connection: &Connection,
    party: Party,
    shared: &Shared,
) -> Option<CloseCode> {
    let subscribed = timeout(HANDSHAKE_MAX, async {
        let (send, mut recv) = connection.accept_bi().await.ok()?;
        let frame = read_frame(&mut recv).await?;
        Some((send, subscription(&frame)?))
    });
    let Ok(Some((mut stream, (Subscribe { shard, after }, selections)))) = subscribed.await else {
        return Some(CloseCode::ProtocolError);
    };
    let elsewhere = selections.iter().find_map(|selection| match *selection {
        Selection::Market(_) => None,
        Selection::Slot(key) => match shared.map.of(key) {
            Some(of) if of == shard => None,
            Some(_) => Some(RejectReason::WrongShard),
            None => Some(RejectReason::UnknownMarket),
        },
    });
    let refused =
        if shared.shards.contains(shard) { elsewhere } else { Some(RejectReason::WrongShard) };
    if let Some(reason) = refused {
        tracing::info!(%party, %reason, "market data refused");
        refuse(&mut stream, reason).await;
        return Some(CloseCode::Refused);
    }
    connection.set_send_window(SEND_WINDOW_BYTES);
    let connection = connection.clone();
    let subscriber = MarketSubscriber { party, shard, after, selections, stream, connection };
    match shared.incoming.market.send(subscriber).await {
        Ok(()) => None,
        Err(_) => Some(CloseCode::GoingAway),
    }
}

async fn read_frame(recv: &mut RecvStream) -> Option<Frame> {
    let mut decoder = FrameDecoder::default();
    loop {
        if let Some(frame) = decoder.next_frame().ok()? {
            return Some(frame);
        }
        let chunk = recv.read_chunk(1_024, true).await.ok()??;
        decoder.extend(&chunk.bytes);
    }
}

/// What a frame asks for: `Subscribe`, and any number of `Select`. `None` where it is anything else.
#[must_use]
pub fn subscription(frame: &Frame) -> Option<(Subscribe, Vec<Selection>)> {
    let mut payload = frame.payload.as_slice();
    let Ok(MarketMessage::Subscribe(subscribe)) = MarketMessage::decode(&mut payload) else {
        return None;
    };
    let mut selections = Vec::new();
    while !payload.is_empty() {
        let Ok(MarketMessage::Select(selection)) = MarketMessage::decode(&mut payload) else {
            return None;
        };
        selections.push(selection);
    }
    let messages = selections.len().saturating_add(1);
    (messages == usize::from(frame.header.messages)).then_some((subscribe, selections))
}

/// Tells why, and waits until it has arrived: the close would overtake it.
async fn refuse(stream: &mut SendStream, reason: RejectReason) {
    let mut builder = FrameBuilder::default();
    let rejected = SubscriptionRejected { reason };
    builder.push(|out| MarketMessage::SubscriptionRejected(rejected).encode(out));
    let mut bytes = Vec::new();
    builder.seal(1, &mut bytes);
    if stream.write_all(&bytes).await.is_ok() && stream.finish().is_ok() {
        timeout(HANDSHAKE_MAX, stream.stopped()).await.ok();
    }
}
