//! What happens when a page of a mapped segment is not there: one line, and the process ends. The
//! system says so by a signal, SIGBUS, where a write would have returned an error.

use std::{ffi::c_int, io, mem, ptr};

use rustix::stdio;

/// One write, so that it stands in one piece.
const LINE: &[u8] = b"error: SIGBUS: a file that is mapped, most likely a segment of the journal, was cut \
short or its disk failed; what was acknowledged before was durable: look at the disk, then start again\n";
/// As after every error while running.
const EXIT_CODE: c_int = 1;

/// Ends the process with [`LINE`] on stderr when a mapped page cannot be had. A second call changes
/// nothing.
pub(crate) fn report() -> io::Result<()> {
    let handler: extern "C" fn(c_int) = end;
    // SAFETY: `sigaction` is a C structure of integers and pointers, of which zero is a value: no
    // flags, an empty mask, no restorer. The handler has the type that is promised without
    // `SA_SIGINFO`, lives as long as the program, and calls only what is safe in a signal handler.
    // It takes the place of the standard library's, which on Linux is for SIGSEGV: a stack that
    // overflows does not raise SIGBUS here. `SA_ONSTACK` leaves threads without an alternate stack
    // on their own.
    #[expect(clippy::as_conversions, reason = "an address is how the system takes a handler")]
    let done = unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The handler. It neither allocates nor locks nor returns: the instruction that was interrupted
/// would only fault again.
extern "C" fn end(_signal: c_int) {
    // A system call. Where nobody reads, the exit code says enough.
    rustix::io::write(stdio::stderr(), LINE).ok();
    // SAFETY: `_exit` is async-signal-safe, takes any number and does not return.
    unsafe { libc::_exit(EXIT_CODE) }
}
