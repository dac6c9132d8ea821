"""How many signed orders the venue takes in a second: one account with two symbols, and fifty with two hundred.

python bench/venue_rate.py [--accounts 50 --symbols 200]

The rate is that of the venue's own processor time, so that whoever else is busy on the machine does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parents[1]
CONNECTIONS = 8
WARM_UP, MEASURED = 400, 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int)
    parser.add_argument("--symbols", type=int)
    options = parser.parse_args()
    sizes = [(1, 2), (50, 200)] if options.accounts is None else [(options.accounts, options.symbols or 2)]
    for accounts, symbols in sizes:
        measure(accounts, symbols)


def measure(accounts: int, symbols: int) -> None:
    """Start a venue, place orders, print a line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "phasewright.py"), "venue", "--json", "--db", f"{folder}/venue.db"]
        command += ["--accounts", str(accounts), "--made-symbols", str(symbols), "--weight", "0", "--orders", "0"]
        command += ["--balance", "USDT=100000000"]
        begun = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}) as venue:
            try:
                assert venue.stdout is not None
                ready = json.loads(venue.stdout.readline())
                starting = time.perf_counter() - begun
                # The first order on a symbol also works out its prices.
                asyncio.run(_place(ready, max(WARM_UP, 2 * symbols)))
                busy, begun = _processor_seconds(venue.pid), time.perf_counter()
                asyncio.run(_place(ready, MEASURED))
                busy, took = _processor_seconds(venue.pid) - busy, time.perf_counter() - begun
            finally:
                venue.kill()
    print(
        f"{accounts:3} accounts x {symbols:3} symbols: {MEASURED / busy:5.0f} orders per second of processor time, "
        f"{MEASURED / took:5.0f} per second; {starting:.1f} s to start",
        flush=True,
    )


async def _place(ready: Any, count: int) -> None:
    turns = itertools.count()
    await asyncio.gather(*(_client(ready, turns, count, number) for number in range(CONNECTIONS)))


async def _client(ready: Any, turns: itertools.count[int], count: int, number: int) -> None:
    host, _, port = ready["url"].removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    chance = random.Random(number)
    while (turn := next(turns)) < count:
        account = chance.choice(ready["accounts"])
        symbol = ready["symbols"][turn % len(ready["symbols"])].replace("/", "")
        order = {"symbol": symbol, "side": "BUY", "type": "MARKET", "quoteOrderQty": "50"}
        text = urlencode(order | {"timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(account["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
        body = f"{text}&signature={signature}"
        head = f"POST /api/v3/order HTTP/1.1\r\nHost: {host}\r\nX-MBX-APIKEY: {account['api_key']}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
        content = await reader.readexactly(length)
        if " 200 " not in answer.partition("\r\n")[0]:
            raise SystemExit(f"refused: {content.decode()}")
    writer.close()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
