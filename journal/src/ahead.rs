//! The next segment, made ready by a thread of its own while the writer fills the one before it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::storage::{Opened, SyncMethod};

/// Name of the file until it becomes a segment.
const FILE_NAME: &str = "next.seg.new";

/// A segment that is being made ready. It lives shorter than the lock on the directory.
#[derive(Debug)]
pub(crate) struct Ahead {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    /// Taken when it is finished.
    thread: Option<JoinHandle<io::Result<Opened>>>,
}

impl Ahead {
    /// Begins.
    ///
    /// # Errors
    /// When there can be no file or no thread.
    pub(crate) fn start(directory: &Path, bytes: u64, method: SyncMethod) -> io::Result<Self> {
        let path = directory.join(FILE_NAME);
        let file = create(&path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("journal-ahead".to_owned())
            .spawn(move || Opened::populated(file, bytes, method, &stopped))?;
        Ok(Self { path, stop, thread: Some(thread) })
    }

    /// Waits until the segment is ready. Returns it with the path at which it lies.
    ///
    /// # Errors
    /// What the system said, such as that the disk is full.
    pub(crate) fn finish(mut self) -> io::Result<(Opened, PathBuf)> {
        let ended = self.thread.take().map(JoinHandle::join);
        let Some(Ok(opened)) = ended else { unreachable!("the thread does not panic") };
        Ok((opened?, self.path.clone()))
    }
}

impl Drop for Ahead {
    /// Nothing of it may be left running when the directory's lock is given back.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.store(true, Ordering::Relaxed);
            drop(thread.join());
            // What stays behind is removed by the next writer.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// A file that becomes a segment when it is complete.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}
