"""Trade on a gridcross energy exchange."""

from .messages import (
    CancelReason, Conditions, ExecType, Order, OrderKind, RejectReason, Report, Side, Sides, Slot, TimeInForce,
)
from .session import Closed, Rejected, Session, connect, load_key
from .webhooks import Forged, verify_webhook

__all__ = [
    "CancelReason", "Closed", "Conditions", "ExecType", "Forged", "Order", "OrderKind", "RejectReason",
    "Rejected", "Report", "Session", "Side", "Sides", "Slot", "TimeInForce", "connect", "load_key",
    "verify_webhook",
]
