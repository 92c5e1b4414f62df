"""A trading session: orders go out, their answers come back, everything else is a stream of reports."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, AsyncIterator, cast

from aioquic.asyncio.client import connect as quic_connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamDataReceived
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from . import messages as m
from .messages import ExecType, Kind, Order, RejectReason, Report, Side, Sides, Slot


class Rejected(Exception):
    """The exchange refused a request; `reason` says why."""

    def __init__(self, reason: RejectReason, report: Report | None = None) -> None:
        super().__init__(f"refused: {reason.name.lower()} ({int(reason)})")
        self.reason, self.report = reason, report


class Closed(Exception):
    """The session has ended. What was not answered may or may not have been done."""


def load_key(path: str | Path) -> Ed25519PrivateKey:
    """A meter's signing key, PKCS#8 in PEM."""
    return cast(Ed25519PrivateKey, load_pem_private_key(Path(path).read_bytes(), password=None))


@dataclass
class Session:
    """An open session of one platform. `connect` makes it."""

    protocol: QuicConnectionProtocol
    stream: int
    heartbeat_ms: int
    frames: m.Frames = field(default_factory=m.Frames)
    sent_frames: int = 0
    last_client_order: int = field(default_factory=time.time_ns)
    waiting: dict[int, asyncio.Future[Report]] = field(default_factory=dict)
    unasked: asyncio.Queue[Report | None] = field(default_factory=asyncio.Queue)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    ended: BaseException | None = None
    session: int = 0
    platform: int = 0
    last_seq: int = 0

    def __aiter__(self) -> AsyncIterator[Report]:
        return self._reports()

    async def _reports(self) -> AsyncIterator[Report]:
        """Trades, and whatever else happens to orders without being asked for."""
        while (report := await self.unasked.get()) is not None:
            yield report

    async def new_order(
        self, *, meter: int, key: Ed25519PrivateKey, slot: Slot, side: Side, quantity_wh: int,
        client_order: int | None = None, **more: Any,
    ) -> Report:
        """Enters an order that the meter's key signs. `more` as in `Order`. The report says its number: it is durable."""
        number = client_order or self._next()
        fields = Order(meter, slot, side, quantity_wh, **more).pack(number)
        return await self._ask(number, Kind.NEW_ORDER, fields + key.sign(m.NEW_ORDER_TAG + fields))

    async def validate(self, *, meter: int, key: Ed25519PrivateKey, **more: Any) -> Report:
        """Asks whether `new_order` with the same would be accepted: `Rejected` if not. Nothing happens."""
        number = self._next()
        fields = Order(meter, **more).pack(number)
        return await self._ask(number, Kind.VALIDATE, fields + key.sign(m.VALIDATION_TAG + fields))

    async def delegate(
        self, *, meter: int, key: Ed25519PrivateKey, number: int, sides: Sides = Sides.BOTH, market: int = 0,
        quantity_max_wh: int = 0, buy_limit: Decimal | None = None, sell_limit: Decimal | None = None,
        valid_for_s: float = 86_400.0,
    ) -> None:
        """Brings what a meter lets this platform do, signed by the meter's key. Numbers rise per meter."""
        limits = (2**63 - 1 if buy_limit is None else m.micros(buy_limit),
                  -2**63 if sell_limit is None else m.micros(sell_limit))
        fields = m.DELEGATION.pack(number, quantity_max_wh, *limits, 0, m.after(valid_for_s), _key_id(key),
                                   meter, market, self.platform, sides)
        request = self._next()
        body = request.to_bytes(8, "little") + fields + key.sign(m.DELEGATION_TAG + fields)
        await self._ask(request, Kind.DELEGATE, body)

    async def end_delegation(self, meter: int, number: int) -> None:
        """Gives back a delegation that this platform holds."""
        request = self._next()
        await self._ask(request, Kind.REVOKE, m.REVOKE.pack(request, number, meter, bytes(64)))

    async def new_orders(self, orders: list[Order], key: Ed25519PrivateKey) -> list[Report | BaseException]:
        """Enters up to 255 orders under delegations, signed together by the platform's key."""
        numbers = [self._next() for _ in orders]
        covered = [m.message(Kind.DELEGATED_ORDER, order.pack(number)) for order, number in zip(orders, numbers)]
        digest = sha256(b"".join(covered)).digest()
        signed = m.FRAME_SIGNED.pack(m.FRAME_TAG, _key_id(key), self.platform, len(orders), digest)
        first = m.FRAME_SIGNATURE.pack(key.sign(signed), _key_id(key), len(orders))
        answers = [self._expect(number) for number in numbers]
        self._send_frame([m.message(Kind.FRAME_SIGNATURE, first), *covered])
        return await asyncio.gather(*map(_answered, answers), return_exceptions=True)

    async def replace(
        self, order: int, *, meter: int, key: Ed25519PrivateKey, price: Decimal, quantity_wh: int,
        valid_for_s: float = 30.0,
    ) -> Report:
        """Changes limit and open quantity. Keeps its place only for the same price and not more."""
        number = self._next()
        fields = m.REPLACE_ORDER.pack(number, order, m.micros(price), quantity_wh, m.after(valid_for_s), meter)
        return await self._ask(number, Kind.REPLACE, fields + key.sign(m.REPLACE_TAG + fields))

    async def reduce(self, order: int, by_wh: int) -> Report:
        """Takes energy off an order where it stands."""
        number = self._next()
        return await self._ask(number, Kind.REDUCE, m.REDUCE_ORDER.pack(number, order, by_wh))

    async def cancel(self, order: int) -> Report:
        """Cancels an order."""
        number = self._next()
        return await self._ask(number, Kind.CANCEL, m.ABOUT_ORDER.pack(number, order))

    async def status(self, order: int) -> Report:
        """Where an order stands: `quantity_wh` is what filled, `leaves_wh` what is open."""
        number = self._next()
        return await self._ask(number, Kind.ASK, m.ABOUT_ORDER.pack(number, order))

    async def cancel_all(self) -> int:
        """Cancels every order of the platform; says how many."""
        number = self._next()
        body = m.MASS_CANCEL.pack(number, 0, 0, 0, 0, 0)
        return (await self._ask(number, Kind.MASS_CANCEL, body)).quantity_wh

    async def close(self) -> None:
        """Logs out. Wait for your answers first."""
        if self.ended is None:
            self._send(Kind.LOGOUT)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.protocol.wait_closed(), 5)

    def _next(self) -> int:
        self.last_client_order = max(self.last_client_order + 1, time.time_ns())
        return self.last_client_order

    async def _ask(self, number: int, kind: Kind, body: bytes) -> Report:
        answer = self._expect(number)
        self._send(kind, body)
        return await _answered(answer)

    def _expect(self, number: int) -> asyncio.Future[Report]:
        if self.ended is not None:
            raise self.ended
        answer: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self.waiting[number] = answer
        return answer

    def _send(self, kind: Kind, body: bytes = b"") -> None:
        self._send_frame([m.message(kind, body)])

    def _send_frame(self, messages: list[bytes]) -> None:
        self.sent_frames += 1
        data = m.frame(self.sent_frames, messages)
        self.protocol._quic.send_stream_data(self.stream, data)
        self.protocol.transmit()

    async def _beat(self) -> None:
        while self.ended is None:
            await asyncio.sleep(self.heartbeat_ms / 2_000)
            self._send(Kind.HEARTBEAT)

    def _end(self, error: BaseException) -> None:
        self.ended = self.ended or error
        self.accepted.set()
        self.unasked.put_nowait(None)
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(error)
        self.waiting.clear()

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind == Kind.SESSION_ACCEPTED:
            self.session, self.platform, _, self.heartbeat_ms, _, _, self.last_seq = m.ACCEPTED.unpack(body)
            self.accepted.set()
        elif kind == Kind.SESSION_REJECTED:
            self._end(Rejected(RejectReason(int.from_bytes(body[:2], "little"))))
        elif kind == Kind.REPORT:
            self._report(Report.decode(body))
        elif kind == Kind.MESSAGE_REJECTED:
            _, number, _, reason, _ = m.MESSAGE_REJECTED.unpack(body)
            if answer := self.waiting.pop(number, None):
                answer.set_exception(Rejected(RejectReason(reason)))
        elif kind == Kind.MASS_CANCELLED:
            seq, when, number, count, *_ = m.MASS_CANCELLED.unpack(body)
            if answer := self.waiting.pop(number, None):
                answer.set_result(Report(seq, when, number, 0, 0, Decimal(0), count, 0, 0, 0,
                                         ExecType.CANCELLED, None))
        elif kind == Kind.DELEGATION_REPORT:
            seq, when, number, _, meter, reason, state = m.DELEGATION_REPORT.unpack(body)
            exec_type = ExecType.STATUS if state < 2 else ExecType.REJECTED
            self._report(Report(seq, when, number, 0, 0, Decimal(0), 0, 0, meter, reason, exec_type, None))
        elif kind in (Kind.GOING_AWAY, Kind.LOGGED_OUT):
            self._end(Closed("the exchange goes away" if kind == Kind.GOING_AWAY else "logged out"))

    def _report(self, report: Report) -> None:
        answer = None if report.exec_type == ExecType.TRADE else self.waiting.pop(report.client_order, None)
        if answer is not None and not answer.done():
            answer.set_result(report)
        else:
            self.unasked.put_nowait(report)


def _key_id(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()[:8]


async def _answered(answer: asyncio.Future[Report]) -> Report:
    report = await answer
    if report.exec_type.is_refusal:
        raise Rejected(RejectReason(report.reason), report)
    return report


class _Protocol(QuicConnectionProtocol):
    session: Session | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if self.session is None:
            return
        if isinstance(event, StreamDataReceived):
            try:
                for kind, body in self.session.frames.feed(event.data):
                    self.session._take(kind, body)
            except ValueError as error:
                self.session._end(Closed(str(error)))
        elif isinstance(event, ConnectionTerminated):
            self.session._end(Closed(event.reason_phrase or f"code {event.error_code}"))


@contextlib.asynccontextmanager
async def connect(
    address: str, *, certificate: str | Path, key: str | Path, authority: str | Path,
    server_name: str = "localhost", shard: int = 0, heartbeat_ms: int = 10_000,
) -> AsyncIterator[Session]:
    """Opens a session at `HOST:PORT` with a platform's transport certificate and key."""
    host, _, port = address.rpartition(":")
    settings = QuicConfiguration(is_client=True, alpn_protocols=[m.ALPN], server_name=server_name)
    settings.load_verify_locations(str(authority))
    settings.load_cert_chain(str(certificate), str(key))
    async with quic_connect(host.strip("[]"), int(port), configuration=settings, create_protocol=_Protocol) as protocol:
        protocol = cast(_Protocol, protocol)
        stream = protocol._quic.get_next_available_stream_id()
        session = protocol.session = Session(protocol, stream, heartbeat_ms)
        session._send(Kind.LOGON, m.LOGON.pack(heartbeat_ms, shard, False, 0, 0, 0))
        await session.accepted.wait()
        if session.ended is not None:
            raise session.ended
        beating = asyncio.create_task(session._beat())
        try:
            yield session
        finally:
            beating.cancel()
            await session.close()
