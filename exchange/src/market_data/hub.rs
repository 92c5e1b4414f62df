//! A task for each shard that has readers: from the view and the journal to the tape, a thousand
//! times a second at most. Without readers it does nothing.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gateway::quic::MarketSubscriber;
use journal::{Entry, JournalError, Reader};
use market_view::MarketReader;
use tokio::sync::{mpsc, watch};
use types::Seq;
use wire::FeedItem;

use super::{
    stream::{self, NewReader},
    tape::{Events, Follower, Room, Tape},
};
use crate::progress::Progress;

/// Pause between two looks at the books: what changes within it is one change.
const PAUSE: Duration = Duration::from_millis(1);
/// Commands read from the journal between two looks at the books.
const COMMANDS_MAX: u64 = 16_384;
/// Subscribers that may wait for their shard.
const ARRIVALS_MAX: usize = 16;

/// What a shard's market data is made from.
#[derive(Debug, Clone)]
pub struct ShardMarket {
    /// Its journal.
    pub journal: PathBuf,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// Its books.
    pub view: MarketReader,
}

/// Serves subscribers as they come, until the sender is gone. `shards` are all shards, by index.
pub async fn serve(shards: Vec<ShardMarket>, mut subscribers: mpsc::Receiver<MarketSubscriber>) {
    let start = |shard| {
        let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
        tokio::spawn(serve_shard(shard, arrivals));
        sender
    };
    let shards: Vec<_> = shards.into_iter().map(start).collect();
    while let Some(subscriber) = subscribers.recv().await {
        // The edge has turned away who asked for a shard that does not exist.
        let shard = shards.get(usize::from(subscriber.shard.index()));
        if let Some(shard) = shard {
            // Without a task the exchange is going away, and the connection ends with it.
            shard.send(subscriber).await.ok();
        }
    }
}

/// Serves the subscribers of a shard: from the first until the last is gone, and again.
async fn serve_shard(shard: ShardMarket, mut arrivals: mpsc::Receiver<MarketSubscriber>) {
    while let Some(first) = arrivals.recv().await {
        let result = match Hub::open(&shard) {
            Ok(hub) => hub.run(first, &mut arrivals).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::error!(%error, "the journal cannot be read for market data");
        }
    }
}

/// A shard with readers.
struct Hub<'a> {
    shard: &'a ShardMarket,
    progress: watch::Receiver<Progress>,
    tape: Arc<Mutex<Tape>>,
    /// Rings for every reader.
    bell: watch::Sender<()>,
    reader: Reader,
    entry: Entry,
    events: Events,
    through: Seq,
}

/// The tape, whatever became of a thread that held it.
pub(super) fn lock(tape: &Mutex<Tape>) -> MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Hub<'a> {
    fn open(shard: &'a ShardMarket) -> Result<Self, JournalError> {
        let progress = shard.progress.clone();
        let through = progress.borrow().durable;
        Ok(Self {
            shard,
            progress,
            tape: Arc::new(Mutex::new(Tape::new(Room::default(), through))),
            bell: watch::Sender::new(()),
            reader: Reader::open(&shard.journal, through)?,
            entry: Entry::default(),
            events: Events::default(),
            through,
        })
    }

    /// Runs until the last reader is gone, or the shard.
    async fn run(
        mut self,
        first: MarketSubscriber,
        arrivals: &mut mpsc::Receiver<MarketSubscriber>,
    ) -> Result<(), JournalError> {
        self.pass()?;
        self.admit(first);
        loop {
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(subscriber) => self.admit(subscriber),
                    None => return Ok(()),
                },
                changed = self.progress.changed() => {
                    self.follow().await?;
                    if changed.is_err() {
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                () = self.bell.closed() => return Ok(()),
            }
        }
    }

    /// Takes what is durable by now.
    async fn follow(&mut self) -> Result<(), JournalError> {
        loop {
            let durable = self.pass()?;
            self.bell.send_replace(());
            if self.through >= durable {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Events first, up to a position that was durable before; then the books, which are shown
    /// before the position is told. So a slot that an event closes is not shown any more. Returns the
    /// position that was durable.
    fn pass(&mut self) -> Result<Seq, JournalError> {
        let durable = self.progress.borrow_and_update().durable;
        let most = Seq::new(self.through.get().saturating_add(COMMANDS_MAX));
        let through = durable.min(most);
        read_events(&mut self.reader, through, &mut self.entry, &mut self.events, &|_| true)?;
        self.through = through;
        let mut tape = lock(&self.tape);
        tape.take_events(&mut self.events, through);
        tape.take_books(&self.shard.view);
        Ok(durable)
    }

    fn admit(&self, subscriber: MarketSubscriber) {
        let selections = subscriber.selections.clone();
        let (follower, books) = Follower::begin(&mut lock(&self.tape), selections);
        let reader = NewReader {
            subscriber,
            follower,
            books,
            tape: Arc::clone(&self.tape),
            bell: self.bell.subscribe(),
            journal: self.shard.journal.clone(),
        };
        tokio::spawn(stream::follow(reader));
    }
}

/// Takes what everyone may know of the journal up to a durable position.
pub(super) fn read_events(
    reader: &mut Reader,
    through: Seq,
    entry: &mut Entry,
    events: &mut Events,
    wanted: &dyn Fn(types::SlotKey) -> bool,
) -> Result<(), JournalError> {
    while reader.next(through, entry)? {
        let (seq, time) = (entry.command.seq, entry.command.time);
        for (index, &event) in (0_u32..).zip(&entry.events) {
            events.take(&FeedItem { seq, time, index, event }, wanted);
        }
    }
    Ok(())
}
