//! Keys, signatures and digests as plain bytes. Checking them is the business of the edges.

use core::fmt;

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident[$len:literal]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Wraps the bytes; nothing is checked.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes! {
    /// An Ed25519 public key (RFC 8032), 32 bytes.
    PublicKey[32]
}
bytes! {
    /// An Ed25519 signature (RFC 8032), 64 bytes.
    Signature[64]
}
bytes! {
    /// A 256-bit digest.
    Digest[32]
}

/// Names a public key where a signature is: its first eight bytes, little-endian. It says which key is
/// meant, and proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct KeyId(u64);

impl KeyId {
    /// The id with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl PublicKey {
    /// Its short name.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        KeyId(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.to_le_bytes() {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
