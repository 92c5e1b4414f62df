//! A whole exchange in this process, on its own threads, in a temporary directory.

use std::{fs, path::Path};

use exchange::{
    clock::Clock,
    init,
    node::{Layout, Node, NodeOptions},
};
use gateway::{Identity, authority, client::Connector, identity};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use types::{Digest, Party};

use crate::{Failure, market::Market};

/// What every batch of a journal begins with; see `docs/journal.md`.
const BATCH_MAGIC: &[u8; 8] = b"GCBATCH1";

/// A running exchange.
#[derive(Debug)]
pub struct Exchange {
    folder: TempDir,
    layout: Layout,
    runtime: Runtime,
    node: Node,
}

/// What is left of it.
#[derive(Debug)]
pub struct Stopped {
    /// Digest of the engine's state.
    pub state_digest: Digest,
    /// Commands in the journal.
    pub commands: u64,
    /// Batches in the journal, each made durable with one sync.
    pub commits: u64,
}

impl Exchange {
    /// Starts one in a new directory below `dir` and waits until every slot trades continuously.
    /// Its clock stands still, so that no gate closes.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(market: &Market, dir: &Path) -> Result<Self, Failure> {
        let folder = tempfile::tempdir_in(dir)?;
        let layout = Layout::new(folder.path());
        let ledger_key = init::derive_key(&[0; 32], "ledger");
        init::write_directory(&layout, &market.registry, init::CONFIG_TEMPLATE, &ledger_key)?;
        // As many workers as cores, as the program itself has.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("exchange")
            .enable_all()
            .build()?;
        let options = NodeOptions {
            layout: layout.clone(),
            config: &market.config,
            registry: &market.registry,
            clock: Clock::starting_at(market.opened_at),
            trades_every_day: false,
            slots: &market.slots,
        };
        let node = runtime.block_on(async {
            let node = Node::start(options).await?;
            node.scheduled_through(market.opened_at).await?;
            Ok::<_, Failure>(node)
        })?;
        Ok(Self { folder, layout, runtime, node })
    }

    /// Where its files lie.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// How a party reaches it.
    ///
    /// # Errors
    /// When the party has no certificate.
    pub fn connector(&self, party: Party) -> Result<Connector, Failure> {
        let keys = self.layout.keys();
        Ok(Connector {
            address: self.node.address,
            server_name: "localhost".to_owned(),
            identity: Identity::load(&keys, &authority::file_name(party))?,
            authority: identity::load_certificates(&keys.join("ca.crt"))?,
        })
    }

    /// Stops it and looks at what it wrote.
    ///
    /// # Errors
    /// When it failed meanwhile, or its files cannot be read.
    pub fn shut_down(self) -> Result<Stopped, Failure> {
        let engines = self.runtime.block_on(self.node.shut_down())?;
        let engine = engines.first().ok_or("the exchange has no shard")?;
        Ok(Stopped {
            state_digest: engine.digest(),
            commands: engine.last_seq().get(),
            commits: count_batches(&self.layout.journal())?,
        })
    }
}

fn count_batches(journal: &Path) -> Result<u64, Failure> {
    let mut batches = 0;
    for file in fs::read_dir(journal)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let bytes = fs::read(path)?;
            // Batches begin at multiples of eight.
            let found = bytes.as_chunks::<8>().0.iter().filter(|&word| word == BATCH_MAGIC).count();
            batches += u64::try_from(found)?;
        }
    }
    Ok(batches)
}
