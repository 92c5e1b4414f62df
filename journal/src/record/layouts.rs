//! How layouts are declared.

use crate::format::Fill;

/// A layout, written field by field where it stays: its archive is these bytes.
pub(super) trait Layout {
    /// An array of as many bytes as it has.
    type Bytes;
    const BYTES: usize;

    fn put(&self, area: &mut Self::Bytes);
}

/// A field of a layout.
pub(super) trait Field {
    fn put(&self, area: &mut Fill<'_>);
}

macro_rules! integers {
    ($($kind:ty)*) => {$(
        impl Field for $kind {
            #[inline]
            fn put(&self, area: &mut Fill<'_>) {
                area.put(&self.to_le_bytes());
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i64 }

impl<const N: usize> Field for [u8; N] {
    #[inline]
    fn put(&self, area: &mut Fill<'_>) {
        area.put(self);
    }
}

/// Declares layouts with their size, which is also the sum of their fields.
macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident[$bytes:literal] { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Archive)]
        pub(super) struct $name {
            $(pub(super) $field: $kind,)*
        }

        impl Layout for $name {
            type Bytes = [u8; $bytes];
            const BYTES: usize = $bytes;

            #[inline]
            fn put(&self, area: &mut [u8; $bytes]) {
                let mut area = Fill(area);
                $(self.$field.put(&mut area);)*
            }
        }

        const _: () = assert!($bytes <= LAYOUT_BYTES_MAX, "no layout is longer than the longest");
        const _: () = assert!(size_of::<Archived<$name>>() == $bytes, "size is pinned");
        const _: () = assert!(0 $(+ size_of::<$kind>())* == $bytes, "no padding");
        const _: () = assert!($bytes % 8 == 0, "the next record is aligned");
    )*};
}

pub(super) use layouts;
