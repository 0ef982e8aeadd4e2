"""ObjectHistoryStore: histories on any service that can replace a whole object conditionally.

Read in this order: `_names.py` (where things are), `_container.py` (what each object looks like), `_head.py` (what a
write decides), `_store.py` (the store).
"""

from perdure.spi.object_history._in_memory import MemoryObjects
from perdure.spi.object_history._names import encode_part
from perdure.spi.object_history._store import ObjectHistoryStore

__all__ = ["MemoryObjects", "ObjectHistoryStore", "encode_part"]
