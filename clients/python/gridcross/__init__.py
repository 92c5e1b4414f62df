"""Trade on a gridcross energy exchange."""

from .messages import (
    CancelReason, Conditions, ExecType, OrderKind, RejectReason, Report, Side, Slot, TimeInForce,
)
from .session import Closed, Rejected, Session, connect, load_key

__all__ = [
    "CancelReason", "Closed", "Conditions", "ExecType", "OrderKind", "RejectReason", "Rejected",
    "Report", "Session", "Side", "Slot", "TimeInForce", "connect", "load_key",
]
