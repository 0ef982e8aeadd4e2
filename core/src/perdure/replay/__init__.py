"""The durable event loop: code and history in, commands out. Pure: nothing here touches the world.

Start at `Execution`; the theory is at the top of `_loop`.
"""

from perdure.replay._call import Call
from perdure.replay._execution import Execution
from perdure.replay._loop import ReplayLoop, current_loop
from perdure.replay._values import Info, Program, TurnDoomed, TurnOverrun, Unhandled, Unstarted

__all__ = [
    "Call",
    "Execution",
    "Info",
    "Program",
    "ReplayLoop",
    "TurnDoomed",
    "TurnOverrun",
    "Unhandled",
    "Unstarted",
    "current_loop",
]
