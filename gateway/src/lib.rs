//! The exchange's edge: identity, sessions, admission to the ring, reports back; and the client.
//!
//! An order comes in through [`quic`] or [`https`] (stop 1), is cut and decoded by `wire` (stop 2), numbered and
//! judged by [`session`] (stop 3) and [`verifier`], and waits in the [`ingress`] ring (stop 4). After
//! it is durable, [`egress`] (stop 10) tells both sides, from where a session joined ([`seam`]). Who is
//! too fast is held back by [`throttle`]; what a platform leaves behind is cancelled by [`guard`]. Who may connect is decided by
//! [`authority`], [`identity`] and [`revocation`]; whose key signs for which meter is looked up in [`directory`].
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::duplicate_mod, reason = "`seam` is compiled once more, over a model's atomics")
)]

pub mod authority;
pub mod client;
pub mod directory;
mod edge;
pub mod egress;
pub mod guard;
pub mod https;
pub mod identity;
pub mod ingress;
mod live;
pub mod markets;
pub mod quic;
pub mod revocation;
pub mod seam;
pub mod session;
pub mod throttle;
pub mod tls;
mod trading;
pub mod verifier;

pub use authority::{Authority, AuthorityError};
pub use directory::Directory;
pub use egress::{Egress, Published, Sessions};
pub use identity::{Identity, IdentityError};
pub use ingress::{Ingress, IngressReceiver};
pub use live::Validity;
pub use markets::{KnownMarket, Markets};
pub use quic::{DataRequest, Gateway, GatewayError, GatewayOptions, Incoming, Resume, ShardPort};
pub use revocation::ClientVerifier;
