//! One reader of market data: what the tape has for it, written as frames until it leaves.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use gateway::quic::{CloseCode, MarketSubscriber};
use journal::{Entry, JournalError, Reader};
use quinn::{Connection, SendStream, VarInt, WriteError};
use tokio::{sync::watch, time::timeout};
use types::{Seq, SlotKey};
use wire::{
    MarketMessage,
    field::Field as _,
    frame::{FRAME_MESSAGES_MAX, FRAME_PAYLOAD_BYTES_MAX, FrameHeader},
    inbound::Empty,
    market::{Missed, Subscribed},
};

use super::{
    DEPTH_MAX,
    hub::{lock, read_events},
    tape::{Events, Follower, Piece, Tape, TooFarBehind},
};

/// How long a reader may take nothing.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// A position is told this often while nothing happens.
const QUIET: Duration = Duration::from_secs(1);
/// Most positions of the past that are searched for a reader.
pub(super) const HISTORY_COMMANDS_MAX: u64 = 1 << 20;
/// Positions that are searched at once.
const HISTORY_STEP: u64 = 4_096;

/// A reader that begins.
pub(super) struct NewReader {
    pub(super) subscriber: MarketSubscriber,
    pub(super) follower: Follower,
    /// What it begins with.
    pub(super) books: Vec<Piece>,
    pub(super) tape: Arc<Mutex<Tape>>,
    pub(super) bell: watch::Receiver<()>,
    /// Where the past is.
    pub(super) journal: PathBuf,
}

/// Why a reader is not served any longer.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the reader is gone: {0}")]
    Gone(#[from] WriteError),
    #[error("the reader is too slow")]
    TooSlow,
}

impl From<TooFarBehind> for Ended {
    fn from(_: TooFarBehind) -> Self {
        Self::TooSlow
    }
}

/// Serves a reader to its end, and closes its connection.
pub(super) async fn follow(reader: NewReader) {
    let NewReader { subscriber, mut follower, books, tape, mut bell, journal } = reader;
    let MarketSubscriber { party, after, stream, connection, .. } = subscriber;
    let mut writer = Writer { stream, number: 0, bytes: Vec::new() };
    let past = Past { journal, after, through: follower.position_seq() };
    let result = async {
        past.write(&follower, &mut writer).await?;
        writer.write(&books).await?;
        writer.write(&[follower.position()]).await?;
        drop(books);
        live(&mut follower, &tape, &mut bell, &mut writer, &connection).await
    };
    let code = match result.await {
        Ok(()) => CloseCode::GoingAway,
        Err(Ended::Gone(_)) => return,
        Err(Ended::TooSlow) => {
            tracing::info!(%party, "a reader of market data is too slow");
            CloseCode::SlowReader
        }
        Err(Ended::Journal(error)) => {
            tracing::error!(%party, %error, "the journal cannot be read for market data");
            CloseCode::GoingAway
        }
    };
    if code == CloseCode::GoingAway && writer.stream.finish().is_ok() {
        timeout(WRITE_MAX, writer.stream.stopped()).await.ok();
    }
    connection.close(VarInt::from_u32(code.code()), code.name().as_bytes());
}

/// Sends what comes, until nothing more comes.
async fn live(
    follower: &mut Follower,
    tape: &Mutex<Tape>,
    bell: &mut watch::Receiver<()>,
    writer: &mut Writer,
    connection: &Connection,
) -> Result<(), Ended> {
    let mut pieces = Vec::new();
    let mut over = false;
    loop {
        pieces.clear();
        follower.read(&mut lock(tape), &mut pieces)?;
        if !pieces.is_empty() {
            writer.write(&pieces).await?;
            continue;
        }
        if over {
            return writer.write(&[Piece::of(MarketMessage::GoingAway(Empty))]).await;
        }
        tokio::select! {
            rung = bell.changed() => over = rung.is_err(),
            () = tokio::time::sleep(QUIET) => writer.write(&[follower.position()]).await?,
            _ = connection.closed() => return Err(Ended::Gone(WriteError::ClosedStream)),
        }
    }
}

/// Events before a reader begins to follow.
struct Past {
    journal: PathBuf,
    after: Seq,
    through: Seq,
}

impl Past {
    async fn write(self, follower: &Follower, writer: &mut Writer) -> Result<(), Ended> {
        let Self { journal, after, through } = self;
        let subscribed = Subscribed { through, depth: DEPTH_MAX };
        writer.write(&[Piece::of(MarketMessage::Subscribed(subscribed))]).await?;
        if after == Seq::ZERO || after >= through {
            return Ok(());
        }
        let earliest = Seq::new(through.get().saturating_sub(HISTORY_COMMANDS_MAX));
        let mut from = after.max(earliest);
        let mut reader = match Reader::open(&journal, from) {
            Err(JournalError::BeginsLater { first, .. }) => {
                from = Seq::new(first.get().saturating_sub(1));
                Reader::open(&journal, from)?
            }
            opened => opened?,
        };
        if from > after {
            writer.write(&[Piece::of(MarketMessage::Missed(uncounted(after, from)))]).await?;
        }
        let (mut entry, mut events) = (Entry::default(), Events::default());
        let wanted = |key: SlotKey| follower.wants(key);
        while from < through {
            let step = Seq::new(from.get().saturating_add(HISTORY_STEP)).min(through);
            read_events(&mut reader, step, &mut entry, &mut events, &wanted)?;
            from = step;
            writer.write(&events.pieces()).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

const fn uncounted(after: Seq, through: Seq) -> Missed {
    Missed { slot: None, after, through, trades: 0, traded: types::Energy::ZERO, events: 0 }
}

/// Numbered frames to one reader.
struct Writer {
    stream: SendStream,
    number: u64,
    bytes: Vec<u8>,
}

impl Writer {
    /// Writes pieces, each whole in one frame and as many in each as fit.
    async fn write(&mut self, pieces: &[Piece]) -> Result<(), Ended> {
        self.bytes.clear();
        let mut rest = pieces;
        while let Some(count) = frame_of(rest) {
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            self.frame(now);
            rest = later;
        }
        let mut written = self.bytes.as_slice();
        while !written.is_empty() {
            let wrote = timeout(WRITE_MAX, self.stream.write(written)).await;
            let wrote = wrote.map_err(|_| Ended::TooSlow)??;
            written = written.get(wrote..).unwrap_or_default();
        }
        Ok(())
    }

    fn frame(&mut self, pieces: &[Piece]) {
        self.number = self.number.saturating_add(1);
        let payload: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        let messages = pieces.iter().map(|piece| piece.messages).sum();
        // `frame_of` keeps both below what fits.
        let payload_bytes = u32::try_from(payload).unwrap_or(u32::MAX);
        FrameHeader { number: self.number, payload_bytes, messages }.put(&mut self.bytes);
        for piece in pieces {
            self.bytes.extend_from_slice(&piece.bytes);
        }
    }
}

/// How many of the pieces fit into one frame; `None` where there are none.
fn frame_of(pieces: &[Piece]) -> Option<usize> {
    let (mut messages, mut bytes) = (0_u16, 0_usize);
    let bytes_max = usize::try_from(FRAME_PAYLOAD_BYTES_MAX).unwrap_or(usize::MAX);
    let fits = pieces.iter().take_while(|piece| {
        messages = messages.saturating_add(piece.messages);
        bytes = bytes.saturating_add(piece.bytes.len());
        messages <= FRAME_MESSAGES_MAX && bytes <= bytes_max
    });
    let count = fits.count();
    // A piece alone always fits.
    (!pieces.is_empty()).then_some(count.max(1))
}
