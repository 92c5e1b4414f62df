"""Two platforms talk to a real exchange: python conversation.py PATH_OF_GRIDCROSS

Starts `gridcross serve` on a free port in a directory of its own, and fails at the first answer that is not as it should be.
"""

import asyncio
import http.client
import json
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

from gridcross import (
    Closed, Conditions, ExecType, Forged, Order, RejectReason, Rejected, Session, Side, Sides, Slot, TimeInForce, connect, load_key,
    verify_webhook,
)

CONTINUOUS = datetime.now(timezone.utc) + timedelta(minutes=15, seconds=45)
START = CONTINUOUS.replace(minute=CONTINUOUS.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
SLOT = Slot(market=1, start=START)


async def next_report(session: Session):
    async for report in session:
        return report
    raise AssertionError("the session ended")


async def refused(request, reason: RejectReason) -> None:
    try:
        report = await request
    except Rejected as error:
        assert error.reason == reason, error
    else:
        raise AssertionError(f"accepted: {report}")


async def conversation(address: str, keys: Path) -> None:
    def platform(number: int):
        name = keys / f"platform-{number}"
        return connect(address, certificate=f"{name}.crt", key=f"{name}.key", authority=keys / "ca.crt")

    def meter(number: int):
        return {"meter": number, "key": load_key(keys / f"METER-{number}.signing.key"), "slot": SLOT}

    async with platform(1) as seller, platform(2) as buyer:
        assert (seller.platform, buyer.platform) == (1, 2)
        planned = await seller.validate(**meter(1), side=Side.SELL, price=Decimal("0.210"), quantity_wh=1000)
        assert (planned.exec_type, planned.order) == (ExecType.VALIDATED, 0), planned
        offer = await seller.new_order(**meter(1), side=Side.SELL, price=Decimal("0.210"), quantity_wh=1000)
        assert (offer.exec_type, offer.leaves_wh, offer.price) == (ExecType.NEW, 1000, Decimal("0.21"))
        # The same order again is harmless and says where it stands; with other content it is refused.
        again = {"side": Side.SELL, "price": Decimal("0.210"), "client_order": offer.client_order}
        await refused(seller.new_order(**meter(1), **again, quantity_wh=990), RejectReason.DUPLICATE_CLIENT_ORDER)
        bid = await buyer.new_order(**meter(2), side=Side.BUY, price=Decimal("0.250"), quantity_wh=600)
        for session, order, leaves in ((buyer, bid, 0), (seller, offer, 400)):
            fill = await next_report(session)
            told = (fill.exec_type, fill.order, fill.quantity_wh, fill.price, fill.leaves_wh)
            assert told == (ExecType.TRADE, order.order, 600, Decimal("0.21"), leaves), fill
        status = await seller.status(offer.order)
        assert (status.exec_type, status.quantity_wh, status.leaves_wh) == (ExecType.STATUS, 600, 400), status
        smaller = await seller.reduce(offer.order, 100)
        assert (smaller.exec_type, smaller.leaves_wh) == (ExecType.REPLACED, 300)
        key = load_key(keys / "METER-1.signing.key")
        dearer = await seller.replace(offer.order, meter=1, key=key, price=Decimal("0.300"), quantity_wh=200)
        assert (dearer.exec_type, dearer.price, dearer.leaves_wh) == (ExecType.REPLACED, Decimal("0.3"), 200)
        immediate = {"side": Side.BUY, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}
        await buyer.new_order(**meter(2), **immediate, price=Decimal("0.250"), quantity_wh=100)
        assert (await next_report(buyer)).exec_type == ExecType.CANCELLED
        gone = await seller.cancel(offer.order)
        assert (gone.exec_type, gone.leaves_wh) == (ExecType.CANCELLED, 200)
        await refused(seller.cancel(offer.order), RejectReason.UNKNOWN_ORDER)

        # What must not be.
        order = {"side": Side.SELL, "price": Decimal("0.2"), "quantity_wh": 100}
        other = load_key(keys / "METER-3.signing.key")
        await refused(seller.new_order(**{**meter(1), "key": other}, **order), RejectReason.SIGNATURE_INVALID)
        await refused(seller.new_order(**meter(2), **order), RejectReason.NOT_AUTHORISED)
        await refused(seller.new_order(**meter(1), **order, valid_for_s=-1), RejectReason.SIGNATURE_EXPIRED)
        await refused(seller.new_order(**meter(1), **{**order, "price": Decimal("0.2005")}), RejectReason.PRICE_NOT_ON_TICK)
        await refused(seller.new_order(**meter(1), **{**order, "quantity_wh": 5}), RejectReason.QUANTITY_NOT_ON_LOT)
        await refused(seller.validate(**meter(1), **{**order, "quantity_wh": 5}), RejectReason.QUANTITY_NOT_ON_LOT)
        late = {**meter(1), "slot": replace(SLOT, start=START + timedelta(days=30))}
        await refused(seller.new_order(**late, **order), RejectReason.SLOT_NOT_OPEN)

        passive = {**order, "conditions": Conditions.POST_ONLY}
        for _ in range(3):
            await seller.new_order(**meter(1), **passive)
        assert await seller.cancel_all() == 3

        # A platform signs for meters that let it: of any retailer, also registered with another platform.
        signing = load_key(keys / "platform-1.signing.key")
        for number in (1, 2):
            owner = load_key(keys / f"METER-{number}.signing.key")
            await seller.delegate(meter=number, key=owner, number=1, sides=Sides.SELL, quantity_max_wh=500)
        offers = [Order(meter, SLOT, Side.SELL, wh, Decimal("0.2")) for meter, wh in ((1, 100), (2, 510), (2, 120))]
        first, second, third = await seller.new_orders(offers, signing)
        assert (first.exec_type, third.exec_type, third.leaves_wh) == (ExecType.NEW, ExecType.NEW, 120), (first, third)
        assert isinstance(second, Rejected) and second.reason == RejectReason.DELEGATION_EXCEEDED, second
        forged = await seller.new_orders(offers[:1], other)
        assert isinstance(forged[0], Rejected) and forged[0].reason == RejectReason.SIGNATURE_INVALID, forged
        await seller.end_delegation(2, 1)
        late = (await seller.new_orders(offers[2:], signing))[0]
        assert isinstance(late, Rejected) and late.reason == RejectReason.DELEGATION_MISSING, late
        await refused(seller.delegate(meter=2, key=load_key(keys / "METER-2.signing.key"), number=1),
                      RejectReason.DELEGATION_OUTDATED)
        assert await seller.cancel_all() == 2

        # A newer session takes over; the older one is told.
        async with platform(1) as newer:
            async for report in seller:
                assert report.exec_type == ExecType.CANCELLED, report
            assert isinstance(seller.ended, Closed) and "taken_over" in str(seller.ended), seller.ended
            placed = await newer.new_order(**meter(1), **order)
            assert (await newer.cancel(placed.order)).exec_type == ExecType.CANCELLED


def over_https(address: str, keys: Path) -> None:
    example = Path(__file__).parent.parent / "examples" / "https.py"
    run = subprocess.run([sys.executable, example, address, keys], check=True, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    kinds = [line.split(maxsplit=1)[0] for line in lines]
    assert kinds == ["session_accepted", "session_limits", "report", "logged_out"], run.stdout
    assert "ExecType.NEW" in lines[2] and "quantity_wh=1000" in lines[2], run.stdout


class Receiver(BaseHTTPRequestHandler):
    """Keeps what webhooks say; the first time it says that it could not."""
    calls: Queue = Queue()
    asked = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).asked += 1
        self.send_response(503 if self.asked == 1 else 204)
        self.end_headers()
        self.calls.put((dict(self.headers), body))

    def log_message(self, *_) -> None:
        pass


def hooks(address: str, url: str, keys: Path) -> None:
    """What the exchange told platform 1 meanwhile is signed, to this address and now."""
    context = ssl.create_default_context(cafile=keys / "ca.crt")
    context.load_cert_chain(keys / "platform-1.crt", keys / "platform-1.key")
    api = http.client.HTTPSConnection("localhost", int(address.rpartition(":")[2]), context=context, timeout=30)
    api.request("GET", "/v1/webhook")
    key = json.loads(api.getresponse().read())["public_key"]
    refused, again = (Receiver.calls.get(timeout=30) for _ in range(2))
    first = verify_webhook("POST", url, *refused, key)
    told = verify_webhook("POST", url, *again, key)
    assert (first[0], told[0]["what"], told[0]["price"]) == (told[0], "contract", 0.21), told
    headers, body = again
    later = str(int(headers["gridcross-notice"]) + 1)
    forgeries = [
        ("PUT", url, headers, body), ("POST", url + "/", headers, body), ("POST", url, headers, body + b" "),
        ("POST", url, {**headers, "gridcross-notice": later}, body), ("POST", url, {}, body),
        ("POST", url, {**headers, "signature-input": headers["signature-input"].replace('"@method" ', "")}, body),
    ]
    for forged in forgeries:
        try:
            verify_webhook(*forged, key)
        except Forged:
            continue
        raise AssertionError(f"taken for genuine: {forged}")
    try:
        verify_webhook("POST", url, headers, body, key, max_age_s=-1)
    except Forged:
        return
    raise AssertionError("an old call is taken for a new one")


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "exchange"
        subprocess.run([program, "init", data], check=True, stdout=subprocess.DEVNULL)
        config = data / "gridcross.toml"
        text = config.read_text().replace("127.0.0.1:7400", "127.0.0.1:0")
        https = '[gateway.https]\nlisten = "127.0.0.1:0"\n\n[journal]'
        config.write_text(text.replace("[journal]", https, 1) + '\n[api]\nlisten = "127.0.0.1:0"\n')
        receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}/hook"
        registry = data / "registry.toml"
        line = 'role = "platform"\nnumber = 1\n'
        registry.write_text(registry.read_text().replace(line, f'{line}webhook = "{url}"\n', 1))
        server = subprocess.Popen([program, "serve", "--data-dir", data], stderr=subprocess.PIPE, text=True)
        try:
            address = trading = ""
            for line in server.stderr:
                if found := re.search(r"listening on (\S+)", line):
                    address = found[1]
                if found := re.search(r"over HTTPS on https://(\S+)", line):
                    trading = found[1]
                if found := re.search(r"HTTP API on https://(\S+)", line):
                    asyncio.run(asyncio.wait_for(conversation(address, data / "keys"), 120))
                    over_https(trading, data / "keys")
                    hooks(found[1], url, data / "keys")
                    break
            else:
                raise SystemExit("the exchange did not start")
        finally:
            server.terminate()
            server.communicate()
        assert server.returncode == 0, f"the exchange ended with {server.returncode}"
        subprocess.run([program, "replay", "verify", "--signatures", data], check=True, stdout=subprocess.DEVNULL)
    print("the conversation is as it should be")


main(sys.argv[1])
