//! How much room there is for more segments.

use std::{io, path::Path};

/// Bytes that are left on the file system of the journal in `dir`, for a process without privileges.
///
/// # Errors
/// When the system does not say.
pub fn space(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
