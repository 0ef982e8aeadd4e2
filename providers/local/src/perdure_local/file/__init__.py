"""`file:PATH`: a hub in plain files that people can read. Correct and simple first; `sqlite:` is the fast one.

objects/    histories and payloads: `perdure.spi.ObjectHistoryStore` over `FileObjects`
queues/     one file per message: `FileQueue`
"""

from perdure_local.file._objects import FileObjects
from perdure_local.file._queue import FileQueue
from perdure_local.file._store import FileStore

__all__ = ["FileObjects", "FileQueue", "FileStore"]
