"""A process of the torture: `python -m perdure_conformance.torture worker|client ORDERS`, with the orders as JSON.

Started by the tests of `TortureContract`, by nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import sys

import msgspec

from perdure_conformance.torture import _client, _worker

logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
if sys.argv[1] == "worker":
    asyncio.run(_worker.work(msgspec.json.decode(sys.argv[2], type=_worker.Orders)))
else:
    asyncio.run(_client.act(msgspec.json.decode(sys.argv[2], type=_client.Orders)))
