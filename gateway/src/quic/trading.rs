//! A trading session over the one stream of a QUIC connection.

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::time::timeout;
use types::Party;

use super::{CloseCode, close};
use crate::{
    edge::{HANDSHAKE_MAX, Shared},
    trading::{self, Arriving, Cut, End, Leaving, Line, Lost, PIECE_BYTES_MAX, Piece},
};

/// Runs a session to its end. Returns how to close the connection, or `None` when that is done or it
/// is lost.
pub(super) async fn serve(
    connection: &Connection,
    party: Party,
    shared: &Shared,
) -> Option<CloseCode> {
    let accepted = timeout(HANDSHAKE_MAX, connection.accept_bi()).await;
    let Ok(Ok((send, recv))) = accepted else {
        return Some(CloseCode::Silent);
    };
    let line = Line {
        party,
        remote: connection.remote_address(),
        arriving: recv,
        leaving: send,
        closing: std::future::pending(),
        drain_max: HANDSHAKE_MAX,
    };
    match trading::serve(line, shared).await {
        End::Told(code) => code,
        End::Cut(cut) => {
            close_at_once(connection, &cut);
            None
        }
    }
}

/// Closes a connection without what is still to be told. A slow reader is told how far it was sent
/// reports: it resumes after what it has read of them.
fn close_at_once(connection: &Connection, cut: &Cut) {
    let code = cut.code;
    if code != CloseCode::SlowReader {
        return close(connection, code);
    }
    let reason = cut.reason();
    tracing::info!(remote = %connection.remote_address(), %reason, "a slow reader is closed");
    connection.close(VarInt::from_u32(code.code()), reason.as_bytes());
}

impl Arriving for RecvStream {
    async fn piece(&mut self) -> Result<Piece, Lost> {
        let chunk = self.read_chunk(PIECE_BYTES_MAX, true).await.map_err(|_| Lost)?;
        Ok(chunk.map_or(Piece::End, |chunk| Piece::Bytes(chunk.bytes)))
    }
}

impl Leaving for SendStream {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.write_all(bytes).await.map_err(|_| Lost)
    }

    async fn finish(mut self) {
        if SendStream::finish(&mut self).is_ok() {
            // Delivered or lost: either way the connection may close now.
            timeout(HANDSHAKE_MAX, self.stopped()).await.ok();
        }
    }
}
