//! Feed subscriptions and data requests: read whole, checked for who asks, handed on.

use std::{sync::Arc, time::Duration};

use quinn::{Connection, RecvStream, SendStream};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use types::{
    Action, BustTrade, Command, MarketDefinition, Party, RejectReason, Role, Seq, ShardId,
    ShardMap, SignedOperation,
};
use wire::{
    FeedMessage, FrameDecoder,
    data::{Answer, BODY_BYTES_MAX, QueryResult, REQUEST_HEAD_BYTES, RequestHead, RequestKind},
    feed::Subscribe,
    field::Field,
};

use crate::{
    directory::Directory,
    markets::Markets,
    verifier::{KnownTrades, check_operation},
};

use super::{
    CloseCode, DATA_STREAMS_MAX, DataRequest, FeedSubscriber, HANDSHAKE_MAX, ShardPort, Shared,
};

/// How long an operator's control may wait for a place in a ring.
const CONTROL_MAX: Duration = Duration::from_secs(5);
/// How soon it is tried again.
const CONTROL_RETRY: Duration = Duration::from_millis(1);

/// Reads the subscription and hands the stream on. The feed closes the connection later.
pub(super) async fn serve_feed(
    connection: &Connection,
    party: Party,
    shared: &Shared,
) -> Option<CloseCode> {
    if !matches!(party.role, Role::Settlement | Role::Operator) {
        return Some(CloseCode::Refused);
    }
    let subscribed = timeout(HANDSHAKE_MAX, async {
        let (send, mut recv) = connection.accept_bi().await.ok()?;
        let subscribe = read_subscription(&mut recv).await?;
        Some((send, subscribe))
    });
    let Ok(Some((stream, Subscribe { shard, after }))) = subscribed.await else {
        return Some(CloseCode::ProtocolError);
    };
    if !shared.shards.contains(shard) {
        return Some(CloseCode::ProtocolError);
    }
    let connection = connection.clone();
    let subscriber = FeedSubscriber { party, shard, after, stream, connection };
    match shared.incoming.feed.send(subscriber).await {
        Ok(()) => None,
        Err(_) => Some(CloseCode::GoingAway),
    }
}

async fn read_subscription(recv: &mut RecvStream) -> Option<Subscribe> {
    let mut decoder = FrameDecoder::default();
    loop {
        if let Some(frame) = decoder.next_frame().ok()? {
            let mut payload = frame.payload.as_slice();
            return match FeedMessage::decode(&mut payload) {
                Ok(FeedMessage::Subscribe(subscribe)) if payload.is_empty() => Some(subscribe),
                _ => None,
            };
        }
        let chunk = recv.read_chunk(1_024, true).await.ok()??;
        decoder.extend(&chunk.bytes);
    }
}

/// Answers one request per stream until the peer leaves.
pub(super) async fn serve_data(
    connection: &Connection,
    party: Party,
    shared: &Shared,
) -> Option<CloseCode> {
    let is_heard =
        |role| matches!(role, Role::Retailer | Role::Utility | Role::Operator | Role::Platform);
    if !is_heard(party.role) {
        return Some(CloseCode::Refused);
    }
    connection.set_max_concurrent_bi_streams(DATA_STREAMS_MAX.into());
    let mut going_away = shared.going_away.clone();
    let desk = Arc::new(Desk {
        data: shared.incoming.data.clone(),
        ports: shared.ports.clone(),
        map: Arc::clone(&shared.map),
        directory: Arc::clone(&shared.directory),
        trades: Arc::clone(&shared.trades),
        markets: Arc::clone(&shared.markets),
    });
    loop {
        let (send, recv) = tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok(stream) => stream,
                Err(_) => return None,
            },
            _ = going_away.wait_for(|&gone| gone) => return Some(CloseCode::GoingAway),
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            // A request that breaks off has nobody to tell.
            answer_request(party, (send, recv), &desk).await;
        });
    }
}

/// What requests of a connection are answered with.
struct Desk {
    data: mpsc::Sender<DataRequest>,
    ports: Vec<ShardPort>,
    map: Arc<ShardMap>,
    directory: Arc<Directory>,
    trades: Arc<dyn KnownTrades>,
    markets: Arc<Markets>,
}

async fn answer_request(party: Party, (mut send, mut recv): (SendStream, RecvStream), desk: &Desk) {
    let (answer, text) = match read_request(&mut recv).await {
        Some((kind @ (RequestKind::Operate | RequestKind::DefineMarket), body)) => {
            match operate(party, (kind, &body), desk).await {
                Ok(()) => (Answer::QueryResult(QueryResult { reason: 0 }), Vec::new()),
                Err(reason) => refusal(reason),
            }
        }
        Some((kind, body)) => {
            let (sender, receiver) = oneshot::channel();
            let request = DataRequest { party, kind, body, answer: sender };
            if desk.data.send(request).await.is_err() {
                refusal(RejectReason::GoingAway)
            } else {
                receiver.await.unwrap_or_else(|_| refusal(RejectReason::GoingAway))
            }
        }
        None => refusal(RejectReason::MalformedMessage),
    };
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    bytes.extend_from_slice(&text);
    if send.write_all(&bytes).await.is_ok() {
        send.finish().ok();
    }
}

/// An operator's order, at every shard that it concerns. Done when it is durable at all of them. It does
/// not stand behind orders of platforms that wait: the ring keeps room for it.
async fn operate(
    party: Party,
    (kind, body): (RequestKind, &[u8]),
    desk: &Desk,
) -> Result<(), RejectReason> {
    if party.role != Role::Operator {
        return Err(RejectReason::NotAuthorised);
    }
    let (signed, market) = read_order(kind, body).ok_or(RejectReason::MalformedMessage)?;
    if signed.signer != party.number {
        return Err(RejectReason::NotAuthorised);
    }
    check_operation((&signed, market.as_ref()), &desk.directory, &mut Vec::new())?;
    let operation = &signed.operation;
    let (action, reason) = (operation.action.name(), operation.reason);
    tracing::warn!(%party, operator = operation.operator, number = operation.number, action, %reason, "an operator orders");
    let (ports, control) = concerned(&signed, market, desk)?;
    let mut answers = Vec::new();
    for port in ports {
        let entered = timeout(CONTROL_MAX, enter(port, &control)).await;
        answers.push(entered.map_err(|_| RejectReason::Busy)?);
    }
    for answer in answers {
        answer.await.map_err(|_| RejectReason::GoingAway)??;
    }
    Ok(())
}

/// An operator's order, with the market that it defines: exactly where it defines one.
fn read_order(
    kind: RequestKind,
    body: &[u8],
) -> Option<(SignedOperation, Option<MarketDefinition>)> {
    let mut rest = body;
    let signed = SignedOperation::take(&mut rest).ok()?;
    let market = if kind == RequestKind::DefineMarket {
        Some(MarketDefinition::take(&mut rest).ok()?)
    } else {
        None
    };
    let defines = matches!(signed.operation.action, Action::Define(_));
    (rest.is_empty() && defines == market.is_some()).then_some((signed, market))
}

/// The shards that an operator's order concerns, and the commands that it is there. Of a trade, the shard that
/// made it; what is on record of it goes along. Of a market, all: its definition goes before.
fn concerned<'a>(
    signed: &SignedOperation,
    market: Option<MarketDefinition>,
    desk: &'a Desk,
) -> Result<(&'a [ShardPort], Vec<Command>), RejectReason> {
    let port = |shard: ShardId, unknown| {
        let index = usize::from(shard.index());
        desk.ports.get(index..=index).ok_or(unknown)
    };
    match signed.operation.action {
        Action::SetTrading(_) => Ok((&desk.ports, vec![Command::Operate(*signed)])),
        Action::Define(new) => {
            let market = market.ok_or(RejectReason::MalformedMessage)?;
            desk.markets.admit(&new, &market)?;
            Ok((&desk.ports, vec![Command::DraftMarket(market), Command::Operate(*signed)]))
        }
        Action::Slot(_, key) => {
            let unknown = RejectReason::UnknownMarket;
            let shard = desk.map.of(key).ok_or(unknown)?;
            Ok((port(shard, unknown)?, vec![Command::Operate(*signed)]))
        }
        Action::Bust(trade) => {
            let unknown = RejectReason::UnknownTrade;
            let shard = ShardId::of_number(trade.get()).ok_or(unknown)?;
            let made = desk.trades.trade(trade).ok_or(unknown)?;
            let bust = BustTrade::new(signed, &made).ok_or(unknown)?;
            Ok((port(shard, unknown)?, vec![Command::BustTrade(bust)]))
        }
    }
}

/// Puts an operator's order into a shard's ring, again and again while that is full.
async fn enter(
    port: &ShardPort,
    control: &[Command],
) -> oneshot::Receiver<Result<Seq, RejectReason>> {
    loop {
        if let Some(answer) = port.sessions.control(&port.ingress, control) {
            return answer;
        }
        sleep(CONTROL_RETRY).await;
    }
}

const fn refusal(reason: RejectReason) -> (Answer, Vec<u8>) {
    (Answer::QueryResult(QueryResult { reason: reason.code() }), Vec::new())
}

async fn read_request(recv: &mut RecvStream) -> Option<(RequestKind, Vec<u8>)> {
    let mut head = [0; REQUEST_HEAD_BYTES];
    timeout(HANDSHAKE_MAX, recv.read_exact(&mut head)).await.ok()?.ok()?;
    let head = RequestHead::take(&mut head.as_slice()).ok()?;
    if head.body_bytes > BODY_BYTES_MAX {
        return None;
    }
    let expected = usize::try_from(head.body_bytes).ok()?;
    let body = timeout(HANDSHAKE_MAX, recv.read_to_end(expected)).await.ok()?.ok()?;
    (body.len() == expected).then_some((head.kind, body))
}
