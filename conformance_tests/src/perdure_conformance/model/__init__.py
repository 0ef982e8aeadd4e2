"""ModelContract, level 3: random calls to a backend and to a model, answers and everything stored compared after each.

    class TestModel(ModelContract):
        harness = MyHarness

Two clients of one storage create, append, purge, read, scan, send, receive, complete, abandon, renew and put aside;
answers are lost, writes come late, leases end and clients crash. What fails is shown as the shortest story that fails
(in real time: as the first one). It needs Hypothesis: `pip install 'perdure-conformance[model]'`.
"""

from perdure_conformance.model._contract import ModelContract
from perdure_conformance.model._histories import Broken, Purge, Read

__all__ = ["Broken", "ModelContract", "Purge", "Read"]
