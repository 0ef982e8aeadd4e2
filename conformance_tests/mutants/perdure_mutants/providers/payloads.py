"""Payloads that get lost, change or are found by others: H9 and H10."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["PAYLOAD_MUTANTS"]

PUT: Final = "perdure.memory._store:MemoryStore.put_payload"
GET: Final = "perdure.memory._store:MemoryStore.get_payload"
LIST: Final = "perdure.memory._store:MemoryStore.payloads"
DELETE: Final = "perdure.memory._store:MemoryStore.delete_payloads"

PAYLOAD_MUTANTS: Final = (
    Mutant(
        "a payload is overwritten",
        "H9",
        "a record refers to bytes that it never had",
        (
            Edit(
                PUT,
                "stored.setdefault(payload.name, bytes(data))",
                "stored.update({payload.name: bytes(data)}) or data",
            ),
        ),
    ),
    Mutant(
        "a payload is cut",
        "H9",
        "a large result comes back shorter",
        (Edit(PUT, "bytes(data)) != data", "bytes(data)[:1000]) != data[:1000]"),),
    ),
    Mutant(
        "a missing payload is read as empty",
        "H9",
        "code goes on with nothing instead of stopping",
        (
            Edit(
                GET, 'raise Corrupt(f"{payload.key!r}: payload {payload.name!r} is not there.") from None', 'return b""'
            ),
        ),
    ),
    Mutant(
        "names of payloads are paths",
        "H9",
        "a reference leads to another's payload",
        (
            Edit(
                PUT,
                "stored.setdefault(payload.name,",
                "stored.setdefault(__import__('posixpath').normpath(payload.name),",
            ),
        ),
    ),
    Mutant(
        "payloads of all keys lie together",
        "H9",
        "one instance reads another's payload of the same name",
        (
            Edit(PUT, "setdefault(payload.key, {})", "setdefault('', {})"),
            Edit(GET, "payloads[payload.key]", "payloads['']"),
        ),
    ),
    Mutant(
        "deleting a payload deletes those that begin like it",
        "H9",
        "collecting garbage takes what is still needed",
        (
            Edit(
                DELETE,
                "self.histories.payloads.get(payload.key, {}).pop(payload.name, None)",
                "mine = self.histories.payloads.get(payload.key, {})\n"
                "        [mine.pop(name) for name in list(mine) if name.startswith(payload.name)]",
            ),
        ),
    ),
    Mutant(
        "a list of payloads forgets its prefix",
        "H9",
        "collecting the garbage of one execution takes all",
        (Edit(LIST, "name.startswith(scope.prefix)", "True"),),
    ),
    Mutant(
        "the limit of a payload is not kept",
        "H10",
        "what no service takes is taken and lost",
        (Edit(PUT, "len(data) > most", "False"),),
    ),
)
