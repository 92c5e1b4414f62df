"""Sells energy of one meter and buys it with another, at another platform: python trade.py ADDRESS KEYS"""

import asyncio
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from gridcross import Side, Slot, connect, load_key


async def main(address: str, keys: str) -> None:
    def platform(number: int):
        name = f"{keys}/platform-{number}"
        return connect(address, certificate=f"{name}.crt", key=f"{name}.key", authority=f"{keys}/ca.crt")

    # The quarter hour that is traded continuously: its gate closes 15 minutes before delivery.
    now = datetime.now(timezone.utc) + timedelta(minutes=15, seconds=30)
    start = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
    slot = Slot(market=1, start=start)
    async with platform(1) as seller, platform(2) as buyer:
        meter_1, meter_2 = load_key(f"{keys}/METER-1.signing.key"), load_key(f"{keys}/METER-2.signing.key")
        offer = await seller.new_order(
            meter=1, key=meter_1, slot=slot, side=Side.SELL, price=Decimal("0.21"), quantity_wh=1000)
        bid = await buyer.new_order(
            meter=2, key=meter_2, slot=slot, side=Side.BUY, price=Decimal("0.25"), quantity_wh=600)
        async for fill in buyer:
            print(f"bought {fill.quantity_wh} Wh at {fill.price}, order {bid.order}, trade {fill.trade}")
            break
        print(f"cancelled {(await seller.cancel(offer.order)).leaves_wh} Wh of order {offer.order}")


asyncio.run(main(*sys.argv[1:]))
