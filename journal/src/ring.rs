//! A write and a sync in one system call, through `io_uring`.
//!
//! The kernel reads the bytes while it writes them, so nothing here returns while it has a request in
//! hand, whatever else fails.

use std::{fmt, fs::File, io, os::fd::AsRawFd, thread};

use io_uring::{
    IoUring, opcode,
    squeue::Flags,
    types::{Fd, FsyncFlags},
};

/// A write, and the sync that is linked to it: it begins when the write is done, all of it.
const REQUESTS: u32 = 2;
const WRITE: u64 = 1;
const SYNC: u64 = 2;

/// A ring for one write and its sync at a time.
pub(crate) struct Ring {
    ring: IoUring,
    /// Set while requests are on their way, and left so by a failure to send them: what then still
    /// waits in the ring must never be sent.
    is_busy: bool,
}

/// What the kernel says of the two requests; below zero an error number.
#[derive(Debug, Default)]
struct Answers {
    write: Option<i32>,
    sync: Option<i32>,
}

impl Ring {
    /// # Errors
    /// When the system has no `io_uring`, or does not let this process have one.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { ring: IoUring::new(REQUESTS)?, is_busy: false })
    }

    /// Writes `bytes` to `file` from byte `at` on and makes them durable.
    ///
    /// # Errors
    /// When a request fails, cannot be sent, or writes less than everything.
    pub(crate) fn write_durably(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        if std::mem::replace(&mut self.is_busy, true) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let fd = Fd(file.as_raw_fd());
        let write = opcode::Write::new(fd, bytes.as_ptr(), length).offset(at).build();
        let sync = opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build();
        let requests = [write.flags(Flags::IO_LINK).user_data(WRITE), sync.user_data(SYNC)];
        // SAFETY: the kernel reads `length` bytes from the start of `bytes` and uses the file's number.
        // Both are borrowed until this function returns. `finish` returns only when every request that
        // the kernel took is answered, after which it touches neither. Requests that it did not take
        // are never sent: `is_busy` stays set, so this ring is not entered again.
        let pushed = unsafe { self.ring.submission().push_multiple(&requests) };
        pushed.map_err(|_| io::ErrorKind::ResourceBusy)?;
        let answers = self.finish()?;
        self.is_busy = false;
        if done(answers.write)? != length {
            return Err(io::ErrorKind::WriteZero.into());
        }
        done(answers.sync).map(|_| ())
    }

    /// Sends both requests at once and waits for both answers.
    fn finish(&mut self) -> io::Result<Answers> {
        let mut answers = Answers::default();
        let mut waiting = REQUESTS;
        loop {
            let want = usize::try_from(waiting).unwrap_or(usize::MAX);
            let entered = self.ring.submit_and_wait(want);
            self.collect(&mut answers, &mut waiting);
            if waiting == 0 {
                return Ok(answers);
            }
            let kept = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
            match entered {
                // A signal came while it waited, or before it took anything.
                Ok(_) if kept == 0 => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A sync without its write would say nothing, and is not sent.
                entered => {
                    while waiting > kept {
                        thread::yield_now();
                        self.collect(&mut answers, &mut waiting);
                    }
                    return Err(entered.err().unwrap_or(io::ErrorKind::ResourceBusy.into()));
                }
            }
        }
    }

    fn collect(&mut self, answers: &mut Answers, waiting: &mut u32) {
        for answer in self.ring.completion() {
            let place =
                if answer.user_data() == WRITE { &mut answers.write } else { &mut answers.sync };
            *place = Some(answer.result());
            *waiting = waiting.saturating_sub(1);
        }
    }
}

/// What a request did, or why it did not.
fn done(answer: Option<i32>) -> io::Result<u32> {
    let answer = answer.unwrap_or(0);
    u32::try_from(answer).map_err(|_| io::Error::from_raw_os_error(answer.saturating_neg()))
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("is_busy", &self.is_busy).finish_non_exhaustive()
    }
}
