"""Bytes of the messages, as `docs/protocol.md` lists them. Nothing here reads a socket or a clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Iterator

ALPN = "gridcross/1"
FRAME_HEADER = Struct("<2sBxIQH6x")  # magic, version, payload bytes, number, messages
HEAD = Struct("<BxH4x")  # kind, length
LOGON = Struct("<IB?2xQII")  # heartbeat ms, shard, resume, its seq and reports, cancel after ms
NEW_ORDER = Struct("<QqQqQQqQHHIIBBBBBB6x")
ABOUT_ORDER = Struct("<QQ")  # client order, order
REPLACE_ORDER = Struct("<QQqQqI4x")
REDUCE_ORDER = Struct("<QQQ")
MASS_CANCEL = Struct("<QHHIIB3x")
ACCEPTED = Struct("<IHHIBB2xQ")  # session, platform, frame messages, heartbeat, shard, last shard, seq
REPORT = Struct("<QqQQQqQQIHBB")
MESSAGE_REJECTED = Struct("<QQHHI")  # frame, client order, index, reason, limit
MASS_CANCELLED = Struct("<QqQIIBB6x")
DELEGATION = Struct("<QQqqqq8sIHHB7x")  # 8s: first bytes of the key
REVOKE = Struct("<QQI4x64s")
FRAME_SIGNATURE = Struct("<64s8sH6x")
FRAME_SIGNED = Struct("<24s8sHH4x32s")  # tag, key, platform, orders, digest
DELEGATION_REPORT = Struct("<QqQQIHBx")
DELEGATION_TAG, FRAME_TAG = b"gridcross delegation v1\0", b"gridcross frame v1"
NEW_ORDER_TAG = b"gridcross new order v1\0\0"
VALIDATION_TAG = b"gridcross validation v1\0"
REPLACE_TAG = b"gridcross replace v1\0\0\0\0"
MICROS = Decimal(1_000_000)


class Kind(IntEnum):
    LOGON, LOGOUT, HEARTBEAT, NEW_ORDER, CANCEL, REPLACE = 1, 2, 3, 4, 5, 6
    REDUCE, HIBERNATE, ACTIVATE, MASS_CANCEL, DELEGATE, REVOKE, VALIDATE, ASK = 8, 9, 10, 11, 12, 13, 17, 18
    FRAME_SIGNATURE, DELEGATED_ORDER, DELEGATED_REPLACE, DELEGATION_REPORT = 14, 15, 16, 76
    SESSION_ACCEPTED, SESSION_REJECTED, IDLE, LOGGED_OUT = 64, 65, 66, 67
    REPORT, MESSAGE_REJECTED, GOING_AWAY, MASS_CANCELLED = 68, 69, 70, 72
    RESUME_COMPLETE, RESUME_TOO_OLD, SESSION_LIMITS = 77, 78, 79
    CONTRACT_REPORT, CONTRACT_INVITATION, MEMBERS_REPORT = 81, 82, 85  # passed over


Side = IntEnum("Side", "BUY SELL", start=0)
OrderKind = IntEnum("OrderKind", "LIMIT MARKET", start=0)
TimeInForce = IntEnum("TimeInForce", "UNTIL_GATE IMMEDIATE_OR_CANCEL UNTIL_TIME FILL_OR_KILL", start=0)
Sides = IntEnum("Sides", "BUY SELL BOTH", start=1)


class Conditions(IntFlag):
    NONE, POST_ONLY, ALL_OR_NONE = 0, 1, 2


class ExecType(IntEnum):
    NEW, TRADE, CANCELLED, REPLACED, EXPIRED, STATUS, REJECTED, CANCEL_REJECTED = range(8)
    REPLACE_REJECTED, HIBERNATED, ACTIVATED, REDUCE_REJECTED = 8, 9, 10, 11
    HIBERNATE_REJECTED, ACTIVATE_REJECTED, MASS_CANCEL_REJECTED = 12, 13, 14
    VALIDATED, VALIDATE_REJECTED, STATUS_REJECTED = 15, 16, 17

    @property
    def is_refusal(self) -> bool:
        return self.name.endswith("REJECTED")


class CancelReason(IntEnum):
    REQUESTED, IMMEDIATE_OR_CANCEL, SELF_TRADE, GATE_CLOSED, EXPIRED, FILL_OR_KILL = 0, 1, 2, 3, 4, 5
    MASS_CANCEL, KILLED, NO_LIQUIDITY, LIST, TRADE_LIMIT, GRID_LIMIT = 6, 7, 8, 9, 10, 11
    AUCTION_CANCELLED = 12


class RejectReason(IntEnum):
    MALFORMED_MESSAGE, UNEXPECTED_MESSAGE, SEQUENCE_GAP, BUSY = 1, 2, 3, 4
    GOING_AWAY, WRONG_SHARD, UNKNOWN_METER, NOT_AUTHORISED = 5, 6, 20, 21
    SIGNATURE_EXPIRED, SIGNATURE_INVALID, TRADING_SUSPENDED, UNKNOWN_MARKET = 22, 23, 24, 40
    SLOT_MISALIGNED, SLOT_NOT_OPEN, GATE_CLOSED, WRONG_PHASE = 41, 42, 43, 44
    UNKNOWN_ORDER, QUANTITY_NOT_ON_LOT, QUANTITY_ABOVE_MAXIMUM, PRICE_OUTSIDE_BAND = 45, 46, 47, 48
    PRICE_NOT_ON_TICK, DUPLICATE_CLIENT_ORDER, CAPACITY_EXCEEDED, SELF_TRADE = 49, 50, 51, 52
    ORDER_LIMIT_REACHED, QUANTITY_BELOW_MINIMUM, VALUE_ABOVE_MAXIMUM, INVALID_CONDITIONS = 53, 54, 55, 56
    POST_ONLY_WOULD_TRADE, CREDIT_EXCEEDED, EXECUTION_LIMIT_REACHED, INVALID_LIST = 57, 58, 59, 60
    PART_OF_LIST, INVALID_MARKET, ALREADY_REGISTERED, METER_NOT_NEXT = 61, 70, 71, 72
    REGISTRY_FULL, UNKNOWN_PARTY, OWNER_OUT_OF_RANGE, AUCTION_NOT_DUE = 73, 74, 75, 76
    INVALID_SCOPE, INVALID_CREDIT, STORAGE_LOW, DELEGATION_MISSING = 77, 78, 7, 25
    DELEGATION_EXPIRED, DELEGATION_EXCEEDED, DELEGATION_OUTDATED = 26, 27, 28
    THROTTLED, TOO_MANY_OPEN_REQUESTS, UNKNOWN_POSITION = 8, 9, 10
    UNKNOWN_OFFER, TERMS_DIFFER, SAME_PARTY, REFERENCE_TAKEN = 29, 30, 31, 32
    UNKNOWN_TRADE, STALE_VERSION, AMENDMENT_OPEN, NOTHING_TO_CHANGE = 33, 34, 35, 36
    MEMBERS_OUT_OF_TURN, MEMBERS_INVALID, MEMBERS_DIFFER = 37, 38, 39
    AGGREGATE_SELF_TRADE, NOT_FOR_AGGREGATES = 67, 68
    GRID_LIMIT, REVISION_OUTDATED = 66, 86
    OPERATION_OUTDATED, OPERATION_UNKNOWN, OPERATIONS_FULL = 87, 88, 89
    OTHER_CURRENCY = 79

    @classmethod
    def _missing_(cls, value: object) -> RejectReason | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)  # A reason that is newer than this client.
        member._name_, member._value_ = f"REASON_{value}", value
        return member


@dataclass(frozen=True)
class Slot:
    """Energy delivered between `start` and `start` + `minutes`."""

    market: int
    start: datetime
    minutes: int = 15

    @property
    def start_minute(self) -> int:
        return int(self.start.astimezone(timezone.utc).timestamp()) // 60


@dataclass(frozen=True)
class Report:
    """What happened to an order. It is durable: the exchange cannot forget it."""

    seq: int
    time_ns: int
    client_order: int
    order: int
    trade: int
    price: Decimal  # currency per kWh
    quantity_wh: int
    leaves_wh: int
    meter: int
    reason: int
    exec_type: ExecType
    side: Side | None

    @classmethod
    def decode(cls, body: bytes) -> Report:
        seq, time, client, order, trade, price, quantity, leaves, meter, reason, kind, side = REPORT.unpack(body)
        return cls(seq, time, client, order, trade, Decimal(price) / MICROS, quantity, leaves, meter,
                   reason, ExecType(kind), None if side == 255 else Side(side))


@dataclass(frozen=True)
class Order:
    """A new order; `price` in currency per kWh."""

    meter: int
    slot: Slot
    side: Side
    quantity_wh: int
    price: Decimal = Decimal(0)
    kind: OrderKind = OrderKind.LIMIT
    time_in_force: TimeInForce = TimeInForce.UNTIL_GATE
    conditions: Conditions = Conditions.NONE
    minimum_wh: int = 0
    display_wh: int = 0
    expires_ns: int = 0
    valid_for_s: float = 30.0

    def pack(self, number: int) -> bytes:
        return NEW_ORDER.pack(
            number, micros(self.price), self.quantity_wh, after(self.valid_for_s), self.display_wh,
            self.minimum_wh, self.expires_ns, 0, self.slot.market, self.slot.minutes, self.slot.start_minute,
            self.meter, self.side, self.kind, self.time_in_force, self.conditions, 0, 0)


def after(seconds: float) -> int:
    return time.time_ns() + int(seconds * 1e9)


def micros(price: Decimal) -> int:
    """Currency per kWh as the wire has it. Refuses what it cannot say exactly."""
    scaled = price * MICROS
    if scaled != scaled.to_integral_value():
        raise ValueError(f"price {price} has more than six decimals")
    return int(scaled)


def message(kind: Kind, body: bytes = b"") -> bytes:
    return HEAD.pack(kind, HEAD.size + len(body)) + body


def frame(number: int, messages: list[bytes]) -> bytes:
    payload = b"".join(messages)
    return FRAME_HEADER.pack(b"GX", 1, len(payload), number, len(messages)) + payload


class Frames:
    """Cuts a stream into messages and checks the frames' numbers."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.last = 0

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        self.buffer += data
        while len(self.buffer) >= FRAME_HEADER.size:
            magic, version, size, number, count = FRAME_HEADER.unpack_from(self.buffer)
            if (magic, version, number) != (b"GX", 1, self.last + 1):
                raise ValueError(f"frame {number} after {self.last}, or not a frame: {magic!r}")
            if len(self.buffer) < FRAME_HEADER.size + size:
                return
            payload = bytes(self.buffer[FRAME_HEADER.size:FRAME_HEADER.size + size])
            del self.buffer[:FRAME_HEADER.size + size]
            self.last = number
            at = 0
            for _ in range(count):
                kind, length = HEAD.unpack_from(payload, at)
                yield Kind(kind), payload[at + HEAD.size:at + length]
                at += length
