"""LinearizabilityContract, level 4: concurrent calls to a history, and a search for an order that explains the answers.

    class TestLinearizability(LinearizabilityContract):
        harness = MyHarness

Several clients meet at one history, through a layer that delays calls, loses answers and lets calls arrive late. What
each asked and heard is recorded. A history is linearizable if the calls can be put into one order, each at a moment
while it was under way, in which the model of level 3 gives the same answers: H1 to H4 and H6 under concurrency. It
needs what the model needs: `pip install 'perdure-conformance[model]'`.
"""

from perdure_conformance.linearizability._contract import LinearizabilityContract
from perdure_conformance.linearizability._search import Operation, explanation_of, shortest_unexplained

__all__ = ["LinearizabilityContract", "Operation", "explanation_of", "shortest_unexplained"]
