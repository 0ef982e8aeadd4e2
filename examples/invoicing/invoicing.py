"""An invoice is issued, and the customer is told: two services, one durable process.

The services here write into `ledger.jsonl`, which plays the outside world: it is how one sees what really happened,
however often a worker died.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path

from perdure import Retry, activity, activity_info, orchestration

LEDGER = Path(os.environ.get("INVOICING_LEDGER", "ledger.jsonl"))


@dataclass
class Line:
    """So many pieces of one article."""

    article: str
    quantity: int
    price_cents: int


@dataclass
class Order:
    """What a customer wants."""

    id: str
    customer: str
    email: str
    lines: list[Line]


@dataclass
class Invoice:
    """What the customer has to pay."""

    number: str
    order: str
    total_cents: int


@activity(retry=Retry(attempts=5, first_delay=0.5))
async def issue_invoice(order: Order) -> Invoice:
    """Book the order with the accounting service."""
    total = sum(line.quantity * line.price_cents for line in order.lines)
    invoice = Invoice(number=f"INV-{order.id}", order=order.id, total_cents=total)
    write_down("invoice issued", order=order.id, number=invoice.number, total_cents=total)
    return invoice


@activity(timeout=30)
def notify_about_invoice(invoice: Invoice, to: str) -> None:
    """Send a mail. A plain function: it runs in a thread."""
    write_down("customer notified", order=invoice.order, number=invoice.number, to=to)


@orchestration
async def invoicing(order: Order) -> Invoice:
    """What the business wants, in the order in which it wants it."""
    invoice = await issue_invoice(order)
    await asyncio.sleep(2)  # mails go out a little later; with days instead of seconds nothing else would change
    await notify_about_invoice(invoice, to=order.email)
    return invoice


def write_down(what: str, **details: object) -> None:
    """Append one line to the ledger, durably, as a service would to its database."""
    entry = {"what": what, **details, "key": activity_info().idempotency_key}
    with LEDGER.open("a") as ledger:
        ledger.write(json.dumps(entry) + "\n")
        ledger.flush()
        os.fsync(ledger.fileno())
