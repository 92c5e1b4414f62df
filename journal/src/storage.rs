//! How the bytes of the open batch reach the disk: where they are written, and which system call
//! makes them durable. All ways leave the same bytes in the file.

mod mapped;
mod written;

use std::{
    fmt,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    directory::allocate,
    format::{END_MARKER_BYTES, narrow, wide},
    mapping::Mapping,
    ring::Ring,
};

/// A way to make a batch durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMethod {
    /// Into a mapping of the segment, then `msync` of the pages of the batch.
    Msync,
    /// Into a mapping of the segment, then `fdatasync` of the file.
    MappedFdatasync,
    /// Into memory, then `pwrite` and `fdatasync`. The appending thread touches no page of the file.
    #[default]
    WriteFdatasync,
    /// Into memory, then a write and an `fdatasync` linked in one call of `io_uring`.
    IoUring,
}

impl SyncMethod {
    /// Every way there is.
    pub const ALL: [Self; 4] =
        [Self::Msync, Self::MappedFdatasync, Self::WriteFdatasync, Self::IoUring];

    /// Its name in configuration, logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Msync => "msync",
            Self::MappedFdatasync => "mapped-fdatasync",
            Self::WriteFdatasync => "write-fdatasync",
            Self::IoUring => "io-uring",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    const fn is_mapped(self) -> bool {
        match self {
            Self::Msync | Self::MappedFdatasync => true,
            Self::WriteFdatasync | Self::IoUring => false,
        }
    }
}

impl fmt::Display for SyncMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the open batch is written, and how it becomes durable.
pub(crate) trait Storage: fmt::Debug + Send {
    /// A batch or marker will be written from `offset` on. What lies before is not asked for again.
    fn begin(&mut self, offset: usize);

    /// The bytes of the segment at `range`, to be written.
    ///
    /// # Panics
    /// When `range` is not within the segment, or begins before the batch.
    fn area(&mut self, range: Range<usize>) -> &mut [u8];

    /// Makes what was written to `range` durable. After an error nothing is known about it.
    fn sync(&mut self, range: Range<usize>) -> io::Result<()>;

    /// Goes on in another segment.
    fn go_on(&mut self, next: Opened);
}

/// A segment's file, ready to be written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    /// Only for ways that write into one.
    map: Option<Mapping>,
}

impl Opened {
    /// A segment that exists and is allocated, `bytes` long. The caller holds the exclusive lock.
    pub(crate) fn existing(file: File, bytes: u64, method: SyncMethod) -> io::Result<Self> {
        let map = method.is_mapped().then(|| Mapping::new(&file, narrow(bytes))).transpose()?;
        Ok(Self { file, map })
    }

    /// An empty file that becomes a segment, with its blocks reserved.
    pub(crate) fn allocated(file: File, bytes: u64, method: SyncMethod) -> io::Result<Self> {
        allocate(&file, bytes)?;
        Self::existing(file, bytes, method)
    }

    /// An empty file that becomes a segment, with its blocks reserved and written and its pages in
    /// memory: neither a write nor a sync has to find any. Ends early when `stop` is set.
    pub(crate) fn populated(
        file: File,
        bytes: u64,
        method: SyncMethod,
        stop: &AtomicBool,
    ) -> io::Result<Self> {
        let opened = Self::allocated(file, bytes, method)?;
        if let Some(map) = &opened.map {
            // The first time for the blocks, which the sync writes; the second time because the
            // sync write-protects the pages again.
            map.populate()?;
            opened.file.sync_all()?;
            map.populate()?;
            return Ok(opened);
        }
        let zeros = vec![0; FILL_BYTES];
        for at in (0..narrow(bytes)).step_by(FILL_BYTES) {
            if stop.load(Ordering::Relaxed) {
                return Ok(opened);
            }
            let (chunk, _) = zeros.split_at(FILL_BYTES.min(narrow(bytes) - at));
            opened.file.write_all_at(chunk, wide(at))?;
            // A little at a time, so that the syncs of the writer come in between.
            opened.file.sync_data()?;
        }
        Ok(opened)
    }
}

/// Bytes that are written and synced at a time while a segment is filled.
const FILL_BYTES: usize = 1 << 20;

/// The storage of `method`, in its first segment.
///
/// # Errors
/// When the system refuses what the method needs besides the file.
pub(crate) fn open(
    method: SyncMethod,
    opened: Opened,
    batch_bytes_max: u32,
) -> io::Result<Box<dyn Storage>> {
    let Opened { file, map } = opened;
    let batch = narrow(u64::from(batch_bytes_max)).max(END_MARKER_BYTES);
    let mapped = |file, call| -> Box<dyn Storage> {
        let Some(map) = map else { unreachable!("a segment is opened for its method") };
        Box::new(mapped::Mapped::new(file, map, call))
    };
    Ok(match method {
        SyncMethod::Msync => mapped(file, mapped::Call::Msync),
        SyncMethod::MappedFdatasync => mapped(file, mapped::Call::Fdatasync),
        SyncMethod::WriteFdatasync => {
            Box::new(written::Written::new(file, batch, written::Call::Fdatasync))
        }
        SyncMethod::IoUring => {
            let ring = Ring::new()?;
            Box::new(written::Written::new(file, batch, written::Call::Ring(Box::new(ring))))
        }
    })
}
