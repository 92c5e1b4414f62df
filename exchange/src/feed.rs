//! Stop 11 of an order's life: committed trades, streamed from the journal's files.
//!
//! A subscriber names the last position it has and gets everything after it, from disk or live. The
//! core loop does not know that it exists: a subscriber that was away for hours costs it nothing. Each
//! has a thread that reads the journal for it, so that no session waits for that either.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
};

use gateway::quic::{CloseCode, FeedSubscriber};
use journal::{Entry, JournalError, Reader};
use quinn::{SendStream, VarInt, WriteError};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use types::Seq;
use wire::{FeedItem, FeedMessage, FrameBuilder, feed::Progress as FeedProgress, inbound::Empty};

use crate::{priority, progress::Progress};

/// Bytes written to a subscriber at once.
const WRITE_BYTES_MAX: usize = 256 << 10;
/// Such pieces that are read ahead.
const PIECES_MAX: usize = 2;

/// Why a subscriber's feed ended.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the subscriber is gone: {0}")]
    Write(#[from] WriteError),
    #[error("no thread can be started for it: {0}")]
    Thread(#[source] io::Error),
    #[error("its thread panicked")]
    Panicked,
}

/// What a shard's feed is read from.
#[derive(Debug, Clone)]
pub struct ShardFeed {
    /// Its journal.
    pub journal: PathBuf,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
}

/// Serves subscribers as they come, until the sender is gone. `feeds` are those of all shards, by
/// index.
pub async fn serve(feeds: Vec<ShardFeed>, mut subscribers: mpsc::Receiver<FeedSubscriber>) {
    while let Some(subscriber) = subscribers.recv().await {
        // The edge has turned away who asked for a shard that does not exist.
        let feed = feeds.get(usize::from(subscriber.shard.index()));
        let Some(feed) = feed.cloned() else { continue };
        tokio::spawn(async move {
            let FeedSubscriber { party, after, mut stream, connection, .. } = subscriber;
            let code = match stream_feed(feed, after, &mut stream).await {
                Ok(()) => CloseCode::GoingAway,
                Err(FeedError::Write(_)) => return,
                Err(error) => {
                    tracing::error!(%party, %error, "the feed cannot be read");
                    CloseCode::ProtocolError
                }
            };
            if stream.finish().is_ok() {
                stream.stopped().await.ok();
            }
            connection.close(VarInt::from_u32(code.code()), code.name().as_bytes());
        });
    }
}

/// Streams until the exchange goes away.
async fn stream_feed(
    feed: ShardFeed,
    after: Seq,
    stream: &mut SendStream,
) -> Result<(), FeedError> {
    let (sender, mut pieces) = mpsc::channel(PIECES_MAX);
    let runtime = Handle::current();
    let reader = thread::Builder::new()
        .name("feed".to_owned())
        .spawn(move || {
            priority::FEED.apply();
            read_feed(&feed.journal, after, feed.progress, &sender, &runtime)
        })
        .map_err(FeedError::Thread)?;
    while let Some(piece) = pieces.recv().await {
        stream.write_all(&piece).await?;
    }
    // It has dropped its end, so there is no waiting.
    Ok(reader.join().map_err(|_| FeedError::Panicked)??)
}

/// Reads what becomes durable, until the exchange goes away or nobody takes it any more.
fn read_feed(
    journal: &Path,
    after: Seq,
    mut progress: watch::Receiver<Progress>,
    pieces: &mpsc::Sender<Vec<u8>>,
    runtime: &Handle,
) -> Result<(), JournalError> {
    let mut reader = Reader::open(journal, after)?;
    let mut frames = Frames::default();
    let mut told = after;
    loop {
        let durable = progress.borrow_and_update().durable;
        while told < durable {
            told = frames.fill(&mut reader, told, durable)?;
            if pieces.blocking_send(frames.take()).is_err() {
                return Ok(());
            }
        }
        let changed = runtime.block_on(async {
            tokio::select! {
                changed = progress.changed() => Some(changed.is_ok()),
                () = pieces.closed() => None,
            }
        });
        match changed {
            Some(true) => {}
            Some(false) => {
                frames.push(&FeedMessage::GoingAway(Empty));
                frames.seal();
                // The subscriber may have gone meanwhile.
                pieces.blocking_send(frames.take()).unwrap_or_default();
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// Numbered frames under construction.
#[derive(Debug, Default)]
struct Frames {
    builder: FrameBuilder,
    number: u64,
    bytes: Vec<u8>,
    entry: Entry,
}

impl Frames {
    /// Fills `bytes` with whole entries up to `through` and one progress message. Returns the
    /// position reached.
    fn fill(&mut self, reader: &mut Reader, told: Seq, through: Seq) -> Result<Seq, JournalError> {
        let mut reached = told;
        while self.bytes.len() < WRITE_BYTES_MAX && reader.next(through, &mut self.entry)? {
            reached = self.entry.command.seq;
            let time = self.entry.command.time;
            for (index, &event) in (0_u32..).zip(&self.entry.events) {
                let item = FeedItem { seq: reached, time, index, event };
                if let Some(message) = FeedMessage::from_item(&item) {
                    push(&mut self.builder, &mut self.number, &mut self.bytes, &message);
                }
            }
        }
        // Entries without feed events count too: there is nothing before `through` any more.
        if self.bytes.len() < WRITE_BYTES_MAX {
            reached = through;
        }
        self.push(&FeedMessage::Progress(FeedProgress { through: reached }));
        self.seal();
        Ok(reached)
    }

    /// Gives away what is sealed.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn push(&mut self, message: &FeedMessage) {
        push(&mut self.builder, &mut self.number, &mut self.bytes, message);
    }

    fn seal(&mut self) {
        seal(&mut self.builder, &mut self.number, &mut self.bytes);
    }
}

fn push(builder: &mut FrameBuilder, number: &mut u64, bytes: &mut Vec<u8>, message: &FeedMessage) {
    if builder.is_full() {
        seal(builder, number, bytes);
    }
    builder.push(|out| message.encode(out));
}

fn seal(builder: &mut FrameBuilder, number: &mut u64, bytes: &mut Vec<u8>) {
    *number = number.saturating_add(1);
    builder.seal(*number, bytes);
}
