//! Batches in a mapping of the segment: an append is a copy into the page cache.

use std::{fs::File, io, ops::Range};

use super::{Opened, Storage};
use crate::mapping::Mapping;

/// Which call makes pages durable.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Msync,
    Fdatasync,
}

#[derive(Debug)]
pub(super) struct Mapped {
    file: File,
    map: Mapping,
    call: Call,
}

impl Mapped {
    pub(super) fn new(file: File, map: Mapping, call: Call) -> Self {
        Self { file, map, call }
    }
}

impl Storage for Mapped {
    fn begin(&mut self, _: usize) {}

    fn area(&mut self, range: Range<usize>) -> &mut [u8] {
        self.map.area(range)
    }

    fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        match self.call {
            Call::Msync => self.map.sync(range),
            Call::Fdatasync => self.file.sync_data(),
        }
    }

    fn go_on(&mut self, next: Opened) {
        let Some(map) = next.map else { unreachable!("a segment is opened for its method") };
        self.map = map;
        self.file = next.file;
    }
}
