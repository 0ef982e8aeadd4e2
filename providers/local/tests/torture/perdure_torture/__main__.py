"""A process of the torture: `python -m perdure_torture worker|client ORDERS`, with the orders as JSON."""

from __future__ import annotations

import asyncio
import logging
import sys

import msgspec

from perdure_torture import client, worker

logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
if sys.argv[1] == "worker":
    asyncio.run(worker.work(msgspec.json.decode(sys.argv[2], type=worker.Orders)))
else:
    asyncio.run(client.act(msgspec.json.decode(sys.argv[2], type=client.Orders)))
