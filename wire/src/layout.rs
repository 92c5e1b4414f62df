//! One description per struct and per set of messages, from which encoding, decoding, sizes and
//! the byte tables of `docs/protocol.md` follow.

/// A row of a byte table: name, size, type.
pub(crate) type Row = (String, usize, &'static str);

/// The rows of a nested struct under the name of the field that holds it.
pub(crate) fn qualify(name: &str, rows: Vec<Row>) -> Vec<Row> {
    let qualified =
        |field: String| if field == "(zero)" { field } else { format!("{name}.{field}") };
    rows.into_iter().map(|(field, size, kind)| (qualified(field), size, kind)).collect()
}

/// Implements [`crate::field::Field`] for a struct, field by field in the order given. `zero N` is
/// `N` bytes of padding. `each Struct { .. }` is for a struct that stands in a message more than once:
/// its rows carry the name of the field it is (`buy.order`, `sell.order`).
macro_rules! layout {
    (each $type:ty { $($body:tt)* }) => {
        layout! { @impl $type, name, $crate::layout::qualify(name, rows), rows, { $($body)* } }
    };
    ($type:ty { $($body:tt)* }) => {
        layout! { @impl $type, _name, rows, rows, { $($body)* } }
    };
    (@impl $type:ty, $name:ident, $result:expr, $rows:ident, { $($body:tt)* }) => {
        impl $crate::field::Field for $type {
            const SIZE: usize = layout!(@size $($body)*);
            const NAME: &'static str = stringify!($type);
            fn parts($name: &'static str) -> Vec<(String, usize, &'static str)> {
                let mut $rows: Vec<$crate::layout::Row> = Vec::new();
                layout!(@parts $rows $($body)*);
                $result
            }
            fn put(&self, out: &mut Vec<u8>) {
                layout!(@put self out $($body)*);
            }
            fn take(bytes: &mut &[u8]) -> Result<Self, $crate::field::DecodeError> {
                layout!(@take bytes [] $($body)*)
            }
        }
    };
    (@size) => { 0 };
    (@size zero $n:literal, $($rest:tt)*) => { $n + layout!(@size $($rest)*) };
    (@size $field:ident: $type:ty, $($rest:tt)*) => {
        <$type as $crate::field::Field>::SIZE + layout!(@size $($rest)*)
    };
    (@parts $rows:ident) => {};
    (@parts $rows:ident zero $n:literal, $($rest:tt)*) => {
        $rows.push(("(zero)".to_owned(), $n, "zero"));
        layout!(@parts $rows $($rest)*);
    };
    (@parts $rows:ident $field:ident: $type:ty, $($rest:tt)*) => {
        $rows.extend(<$type as $crate::field::Field>::parts(stringify!($field)));
        layout!(@parts $rows $($rest)*);
    };
    (@put $self:ident $out:ident) => {};
    (@put $self:ident $out:ident zero $n:literal, $($rest:tt)*) => {
        $crate::field::Field::put(&$crate::field::Zero::<$n>, $out);
        layout!(@put $self $out $($rest)*);
    };
    (@put $self:ident $out:ident $field:ident: $type:ty, $($rest:tt)*) => {
        <$type as $crate::field::Field>::put(&$self.$field, $out);
        layout!(@put $self $out $($rest)*);
    };
    (@take $bytes:ident [$($done:ident)*]) => { Ok(Self { $($done),* }) };
    (@take $bytes:ident [$($done:ident)*] zero $n:literal, $($rest:tt)*) => {{
        <$crate::field::Zero<$n> as $crate::field::Field>::take($bytes)?;
        layout!(@take $bytes [$($done)*] $($rest)*)
    }};
    (@take $bytes:ident [$($done:ident)*] $field:ident: $type:ty, $($rest:tt)*) => {{
        let $field = <$type as $crate::field::Field>::take($bytes)?;
        layout!(@take $bytes [$($done)* $field] $($rest)*)
    }};
}

/// Declares a closed set of messages, each with its kind and its length in bytes including the
/// 8-byte head. The length is asserted against the layout at compile time.
macro_rules! messages {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident($body:ty) = $kind:literal, $len:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])* $variant($body),)*
        }

        $(const _: () = assert!(
            <$body as $crate::field::Field>::SIZE + $crate::frame::MESSAGE_HEAD_BYTES == $len
        );
        const _: () = assert!($len <= $crate::frame::MESSAGE_BYTES_MAX);)*

        impl $name {
            /// Appends the message: its head and its fields.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(body) => {
                        let head: [u8; 8] = {
                            let length: u16 = $len;
                            let [low, high] = length.to_le_bytes();
                            [$kind, 0, low, high, 0, 0, 0, 0]
                        };
                        out.extend_from_slice(&head);
                        $crate::field::Field::put(body, out);
                    })*
                }
            }

            /// Takes one message off the front of `bytes`.
            ///
            /// # Errors
            /// When the bytes are no message of this set. `bytes` is then left anywhere.
            pub fn decode(bytes: &mut &[u8]) -> Result<Self, $crate::field::DecodeError> {
                use $crate::field::{DecodeError, Field, Zero};
                let kind = u8::take(bytes)?;
                Zero::<1>::take(bytes)?;
                let length = u16::take(bytes)?;
                Zero::<4>::take(bytes)?;
                match kind {
                    $($kind => {
                        if length != $len {
                            return Err(DecodeError::WrongLength { kind, got: length });
                        }
                        <$body as Field>::take(bytes).map(Self::$variant)
                    })*
                    _ => Err(DecodeError::UnknownKind(kind)),
                }
            }

            /// The byte table of every message, as `docs/protocol.md` prints it.
            #[must_use]
            pub fn byte_tables() -> String {
                let mut text = String::new();
                $(
                    let rows = <$body as $crate::field::Field>::parts(stringify!($variant));
                    let heading =
                        format!("{} (kind {}, {} bytes)", stringify!($variant), $kind, $len);
                    let meaning = concat!($($doc),*).trim();
                    text.push_str(&format!("### {heading}\n\n{meaning}\n\n"));
                    $crate::layout::byte_table(&mut text, $kind, $len, &rows);
                )*
                text
            }
        }
    };
}

/// Appends one byte table in Markdown.
pub(crate) fn byte_table(text: &mut String, kind: u8, length: u16, rows: &[Row]) {
    text.push_str("| offset | bytes | field | type |\n|---|---|---|---|\n");
    text.push_str(&format!("| 0 | 1 | kind = {kind} | u8 |\n| 1 | 1 | (zero) | zero |\n"));
    text.push_str(&format!("| 2 | 2 | length = {length} | u16 |\n| 4 | 4 | (zero) | zero |\n"));
    let mut offset = 8_usize;
    for (field, size, kind) in rows {
        text.push_str(&format!("| {offset} | {size} | {field} | {kind} |\n"));
        offset = offset.saturating_add(*size);
    }
    text.push('\n');
}
