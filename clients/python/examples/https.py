"""Sells energy of meter 1 over HTTPS, where no UDP gets through: python https.py HOST:PORT KEYS"""

import http.client
import ssl
import sys
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from gridcross import Order, Report, Side, Slot, load_key
from gridcross import messages as m

address, keys = sys.argv[1:]
tls = ssl.create_default_context(cafile=f"{keys}/ca.crt")
tls.load_cert_chain(f"{keys}/platform-1.crt", f"{keys}/platform-1.key")
# The quarter hour that is traded continuously: its gate closes 15 minutes before delivery.
now = datetime.now(timezone.utc) + timedelta(minutes=15, seconds=30)
start = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
order = Order(meter=1, slot=Slot(market=1, start=start), side=Side.SELL, quantity_wh=1000, price=Decimal("0.21"))

# The body is what a session's stream would carry; its end logs out, and the answer ends behind the last report.
fields = order.pack(time.time_ns())
signed = fields + load_key(f"{keys}/METER-1.signing.key").sign(m.NEW_ORDER_TAG + fields)
logon = m.message(m.Kind.LOGON, m.LOGON.pack(10_000, 0, False, 0, 0, 0))
body = m.frame(1, [logon]) + m.frame(2, [m.message(m.Kind.NEW_ORDER, signed)])
connection = http.client.HTTPSConnection(address.replace("127.0.0.1", "localhost"), context=tls, timeout=30)
connection.request("POST", "/v1/trading", body, {"Content-Type": "application/gridcross-trading"})
answer = connection.getresponse()
text = answer.read()
if answer.status != 200:
    sys.exit(text.decode())
for kind, fields in m.Frames().feed(text):
    print(kind.name.lower(), Report.decode(fields) if kind == m.Kind.REPORT else "")
