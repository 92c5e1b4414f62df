//! Snapshots beside the segments: a state at the end of a batch, in one file that is whole or not
//! believed. What the payload means is the caller's business.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use types::{Digest, Seq, Timestamp};

use crate::{
    BatchEnd,
    format::{Fields, Fill, narrow, wide},
};

const MAGIC: [u8; 8] = *b"GCSNAP01";
const VERSION: u16 = 1;
/// 8 + 2 + 6 + 8 + 8 + 32 + 32 + 8.
const HEADER_BYTES: usize = 104;
const HASH_BYTES: usize = 32;
const PREFIX: &str = "snapshot-";
const UNFINISHED: &str = "new";

/// What a snapshot says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// The batch after which the state is the one that was kept.
    pub end: BatchEnd,
    /// Digest of that state.
    pub state: Digest,
    /// Length of the payload.
    pub payload_bytes: u64,
}

/// A snapshot that is what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the journal goes on.
    pub end: BatchEnd,
    /// Digest of the state.
    pub state: Digest,
    /// The state, as the caller wrote it.
    pub payload: Vec<u8>,
}

/// A snapshot that cannot be used.
#[derive(Debug)]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub fault: Fault,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It is shorter or longer than it says, or too short to say it.
    #[error("has another length than its header says")]
    Length,
    /// It fails its hash.
    #[error("fails its hash")]
    Hash,
    /// It passes its hash and is something else.
    #[error("is not a snapshot")]
    Magic,
    /// It is of another version.
    #[error("has format version {0}, which is not supported")]
    Version(u16),
    /// Its name is not the sequence in its header.
    #[error("has another name than its header says")]
    Name,
}

/// The newest snapshot that is sound, and the newer ones that are not.
#[derive(Debug)]
pub struct Newest {
    /// `None` when none is sound: the journal is read from its beginning.
    pub snapshot: Option<Snapshot>,
    /// What was passed over, newest first.
    pub unusable: Vec<Unusable>,
}

/// Why snapshots cannot be kept or looked for.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directory cannot be listed.
    #[error("cannot list the snapshots in `{}`", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A snapshot cannot be written, made durable or given its name. The one before it is untouched.
    #[error("cannot write snapshot `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A snapshot that is no longer needed cannot be removed.
    #[error("cannot remove snapshot `{}`", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes a snapshot of the state after `end` into the journal's directory, durable before it has
/// its name. Returns the file.
///
/// # Errors
/// [`SnapshotError::Write`]. What was there before stays.
pub fn write(
    dir: &Path,
    end: BatchEnd,
    state: Digest,
    payload: &[u8],
) -> Result<PathBuf, SnapshotError> {
    let path = path_of(dir, end.seq);
    let header = Header { end, state, payload_bytes: wide(payload.len()) };
    match try_write(dir, &path, &header.encode(), payload) {
        Ok(()) => Ok(path),
        Err(source) => Err(SnapshotError::Write { path, source }),
    }
}

fn try_write(dir: &Path, path: &Path, header: &[u8], payload: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let mut hasher = blake3::Hasher::new();
    let hash = hasher.update(header).update(payload).finalize();
    let mut file = File::create(&unfinished)?;
    file.write_all(header)?;
    file.write_all(payload)?;
    file.write_all(hash.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(dir)?.sync_all()
}

/// Reads the newest snapshot in the journal's directory that is sound.
///
/// # Errors
/// [`SnapshotError::List`]. A snapshot that is not sound is no error: it is passed over and named.
pub fn newest_valid(dir: &Path) -> Result<Newest, SnapshotError> {
    let mut unusable = Vec::new();
    for (seq, path) in list(dir)? {
        match read(&path) {
            Ok(snapshot) if snapshot.end.seq == seq => {
                return Ok(Newest { snapshot: Some(snapshot), unusable });
            }
            Ok(_) => unusable.push(Unusable { path, fault: Fault::Name }),
            Err(fault) => unusable.push(Unusable { path, fault }),
        }
    }
    Ok(Newest { snapshot: None, unusable })
}

/// Keeps the newest `count` snapshots that are sound and removes what is older. Files that are not
/// sound and newer than those stay, for whoever wants to know why. Returns how many were removed.
///
/// # Errors
/// When the directory cannot be listed or a file cannot be removed.
pub fn retain(dir: &Path, count: NonZeroUsize) -> Result<usize, SnapshotError> {
    let (mut sound, mut removed) = (0, 0);
    for (seq, path) in list(dir)? {
        if sound < count.get() {
            sound += usize::from(read(&path).is_ok_and(|snapshot| snapshot.end.seq == seq));
            continue;
        }
        fs::remove_file(&path).map_err(|source| SnapshotError::Remove { path, source })?;
        removed += 1;
    }
    Ok(removed)
}

/// Where the oldest snapshot that is sound stands.
pub(crate) fn oldest_sound(dir: &Path) -> Result<Option<Seq>, SnapshotError> {
    let is_sound = |seq: Seq, path: &Path| read(path).is_ok_and(|snapshot| snapshot.end.seq == seq);
    let found = list(dir)?.into_iter().rev().find(|(seq, path)| is_sound(*seq, path));
    Ok(found.map(|(seq, _)| seq))
}

/// Reads one snapshot.
///
/// # Errors
/// What is wrong with it. A payload is given out only when every byte is what was written.
pub fn read(path: &Path) -> Result<Snapshot, Fault> {
    let mut file = File::open(path).map_err(Fault::Read)?;
    let length = file.metadata().map_err(Fault::Read)?.len();
    let mut head = [0; HEADER_BYTES];
    match file.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Fault::Length),
        Err(error) => return Err(Fault::Read(error)),
    }
    // Only the length is believed before the hash, and only as far as the file is that long.
    let header = Header::decode(&head);
    let claimed = header.payload_bytes.checked_add(wide(HEADER_BYTES + HASH_BYTES));
    if claimed != Some(length) {
        return Err(Fault::Length);
    }
    let mut payload = vec![0; narrow(header.payload_bytes)];
    let mut hash = [0; HASH_BYTES];
    file.read_exact(&mut payload).map_err(Fault::Read)?;
    file.read_exact(&mut hash).map_err(Fault::Read)?;
    let mut hasher = blake3::Hasher::new();
    if hasher.update(&head).update(&payload).finalize() != hash {
        return Err(Fault::Hash);
    }
    let mut fields = Fields(&head);
    if fields.take::<8>() != MAGIC {
        return Err(Fault::Magic);
    }
    match u16::from_le_bytes(fields.take()) {
        VERSION => Ok(Snapshot { end: header.end, state: header.state, payload }),
        version => Err(Fault::Version(version)),
    }
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut fields = Fill(&mut bytes);
        fields.put(&MAGIC);
        fields.put(&VERSION.to_le_bytes());
        fields.put(&[0; 6]);
        fields.put(&self.end.seq.get().to_le_bytes());
        fields.put(&self.end.time.ns().to_le_bytes());
        fields.put(self.end.chain.as_bytes());
        fields.put(self.state.as_bytes());
        fields.put(&self.payload_bytes.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        let mut fields = Fields(bytes);
        let _: [u8; 16] = fields.take();
        let seq = Seq::new(u64::from_le_bytes(fields.take()));
        let time = Timestamp::from_ns(i64::from_le_bytes(fields.take()));
        let chain = Digest::new(fields.take());
        let state = Digest::new(fields.take());
        let payload_bytes = u64::from_le_bytes(fields.take());
        Self { end: BatchEnd { seq, time, chain }, state, payload_bytes }
    }
}

fn path_of(dir: &Path, seq: Seq) -> PathBuf {
    dir.join(format!("{PREFIX}{:020}", seq.get()))
}

/// Files with a snapshot's name, newest first.
fn list(dir: &Path) -> Result<Vec<(Seq, PathBuf)>, SnapshotError> {
    let failed = |source| SnapshotError::List { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let digits = path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX));
        let digits = digits.filter(|digits| digits.len() == 20);
        if let Some(seq) = digits.and_then(|digits| digits.parse().ok()) {
            found.push((Seq::new(seq), path));
        }
    }
    found.sort_unstable_by(|left, right| right.cmp(left));
    Ok(found)
}
