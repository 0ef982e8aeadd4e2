"""What to do about a clause that is broken: where such mistakes were found before."""

from __future__ import annotations

__all__ = ["advice_for"]

_BY_CLAUSE = {
    "H1": "Answer Committed only after the storage has acknowledged the write (fsync, quorum, COMMIT); keep nothing "
    "that was answered in a buffer of the process.",
    "H2": "Compare and write in one operation of the storage (conditional put, transaction, script), never read first "
    "and write then; take the condition from `append.expected`, and let a purge count the version on.",
    "H3": "Read where the write went: no replica that lags, no cache without a check, no snapshot opened earlier.",
    "H4": "Before you answer Conflict, look at the record after `expected`: if its turn_id is mine, it is Committed; a "
    "create is recognised by its incarnation, also in a tombstone. If you cannot look, raise Unknown.",
    "H5": "Store bytes as bytes with a checksum, read all of them or raise Corrupt, and order records by version.",
    "H6": "Purge replaces the history by a tombstone, with the next version, in one conditional operation; only a "
    "create that expects exactly the tombstone's version may follow it.",
    "H7": "Encode the key so that no two collide (`encode_part` does): case, slashes, dots, percent signs, Unicode "
    "forms and common prefixes are all different keys.",
    "H8": "Go on after the last key of a page, not at an offset; order by code point, not by locale; evaluate the "
    "whole query (`Query.matches` does).",
    "H9": "Store a payload under its key and its encoded name; a missing one is Corrupt, the same name with other "
    "bytes is Misuse; list only what is under exactly this key.",
    "H10": "Check the size before the first write, and raise Misuse with the declared number in the message; or "
    "declare what the storage really takes.",
    "Q1": "Delete a message only in `complete`; acknowledge to the service neither on receive nor on close.",
    "Q2": "Hide a received message in the same operation that takes it.",
    "Q3": "Hide a new message until `not_before`, by the clock of the environment, and shorten nothing.",
    "Q4": "End a lease by the clock, count each delivery, and let `abandon` hide the message for `delay_seconds`.",
    "Q5": "Count a renewal from now; answer False for a receipt whose lease has ended, also when nobody else has the "
    "message yet; a new delivery makes the old receipt worthless.",
    "Q6": "Carry id, group, partition and body as they are (encode what the service cannot), and raise Misuse before "
    "anything of the batch is sent.",
    "Q7": "Move a message to the dead letters instead of giving it one time more than `deliveries_max`, and keep "
    "envelope, reason and count there.",
    "Q8": "Give one SendOutcome or answer per message, in order, also where the service took a batch only in part.",
    "Q9": "Make queue names into different keys, as with H7; if groups cannot be exclusive, declare "
    "`exclusive_groups=False`: core does without them.",
    "Q10": "Look once at once; then wait until something is sent, becomes due or is given back, or the time is over.",
    "Q11": "Give each sent message an identity of the queue's own; switch off or salt the duplicate detection.",
    "C1": "Carry a Step out from top to bottom and await each line; or do all of it in one transaction.",
    "C2": "Complete the deliveries last, and only if every message was sent.",
    "C3": "One transaction for everything; or declare `atomic=False`.",
    "C4": "When a group of Steps fails as one, do them again one by one, and answer each for itself.",
    "C5": "Turn every doubt into Unknown; on the second time, an append that is found again counts as Committed and "
    "the rest is done again.",
    "C6": "`created` is True whenever the instance has my incarnation; claim only what no earlier message of its group "
    "stands before, or declare `claims=False`.",
}

_ELSE = "Read the test's docstring and run it alone; what it calls is what an orchestration does."


def advice_for(clause: str) -> str:
    """Say what to do about a broken clause, or about a failed scenario."""
    return _BY_CLAUSE.get(clause, _ELSE)
