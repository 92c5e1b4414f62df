//! A subscriber of the trade feed.

use quinn::{Connection, Endpoint, RecvStream};
use types::{Seq, ShardId};
use wire::{ALPN_FEED, FeedItem, FeedMessage, FrameBuilder, FrameDecoder, feed::Subscribe};

use super::{ClientError, Connector};

/// Everything up to a position.
#[derive(Debug, Default)]
pub struct FeedBatch {
    /// All of it, in order.
    pub items: Vec<FeedItem>,
    /// The position.
    pub through: Seq,
}

/// An open subscription. Dropping it closes the connection.
#[derive(Debug)]
pub struct FeedClient {
    stream: RecvStream,
    decoder: FrameDecoder,
    _connection: Connection,
    _endpoint: Endpoint,
}

impl FeedClient {
    /// Subscribes to everything of the first shard after `after`.
    ///
    /// # Errors
    /// When the exchange cannot be reached.
    pub async fn subscribe(connector: &Connector, after: Seq) -> Result<Self, ClientError> {
        Self::subscribe_at(connector, ShardId::FIRST, after).await
    }

    /// Subscribes to everything of a shard after `after`.
    ///
    /// # Errors
    /// When the exchange cannot be reached.
    pub async fn subscribe_at(
        connector: &Connector,
        shard: ShardId,
        after: Seq,
    ) -> Result<Self, ClientError> {
        let (endpoint, connection) = connector.connect(ALPN_FEED).await?;
        let (mut send, stream) = connection.open_bi().await?;
        let mut builder = FrameBuilder::default();
        builder.push(|out| FeedMessage::Subscribe(Subscribe { shard, after }).encode(out));
        let mut bytes = Vec::new();
        builder.seal(1, &mut bytes);
        send.write_all(&bytes).await?;
        Ok(Self {
            stream,
            decoder: FrameDecoder::default(),
            _connection: connection,
            _endpoint: endpoint,
        })
    }

    /// The next batch, complete up to its position. Cancelling this future loses nothing that
    /// arrived before, but may lose items of an incomplete batch: subscribe again then.
    ///
    /// # Errors
    /// When the stream ends or carries something else than feed messages.
    pub async fn next_batch(&mut self) -> Result<FeedBatch, ClientError> {
        let mut batch = FeedBatch::default();
        loop {
            while let Some(frame) = self.decoder.next_frame()? {
                let mut payload = frame.payload.as_slice();
                while !payload.is_empty() {
                    let message = FeedMessage::decode(&mut payload)?;
                    if let FeedMessage::Progress(progress) = message {
                        batch.through = progress.through;
                        return if payload.is_empty() {
                            Ok(batch)
                        } else {
                            Err(ClientError::Unexpected)
                        };
                    }
                    if let FeedMessage::GoingAway(_) = message {
                        return Err(ClientError::Ended);
                    }
                    batch.items.push(message.item().ok_or(ClientError::Unexpected)?);
                }
            }
            let chunk = self.stream.read_chunk(64 << 10, true).await?.ok_or(ClientError::Ended)?;
            self.decoder.extend(&chunk.bytes);
        }
    }
}
