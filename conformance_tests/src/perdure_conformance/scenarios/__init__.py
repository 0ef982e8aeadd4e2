"""HubContract: what orchestrations do, end to end, on any backend.

    class TestHub(HubContract):
        harness = MyHarness

One class per group. Each scenario is told in a `Scene`: an empty hub with clients and workers that can be stopped,
started again and killed. When it is over, the oracles of `perdure.testing.verify` read every history and look into
every queue, and replay the code. Waiting is for conditions, so that a slow machine is only slow; where time is virtual
it takes none, and a few scenarios that would take hours are told only there.

Groups that await what is not built yet:

- continue-as-new: then a timer, with unread events, to a new version, many generations, late messages of old executions
- control: cancel, terminate, suspend and resume, rewind, restart, fork, purge, each policy of reusing an id
- versions: strict or current-or-older, `patched`
- `start_detached`, events sent by orchestrations, custom status
- activities that learn of their cancellation, heartbeats, `schedule_timeout`
- damaged records and missing payloads: `Harness.corrupt_record` and `corrupt_payload` know one key, these need all
"""

import pkgutil

import pytest

# Before they are imported: a failing assertion in a scenario then shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from perdure_conformance.scenarios._activities import ActivityScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._basics import BasicScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._bounds import BoundScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._changed_code import ChangedCodeScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._children import ChildScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._crashes import CrashScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._determinism import DeterminismScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._events import EventScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._failures import FailureScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._fan_out import FanOutScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._idioms import IdiomScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._payloads import PayloadScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._queries import QueryScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._retries import RetryScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._starts import StartScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._timers import TimerScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._unknown_code import UnknownCodeScenarios  # noqa: E402 - see above
from perdure_conformance.scenarios._workers import WorkerScenarios  # noqa: E402 - see above

__all__ = ["HubContract"]


class HubContract(
    BasicScenarios,
    StartScenarios,
    ActivityScenarios,
    FanOutScenarios,
    TimerScenarios,
    EventScenarios,
    ChildScenarios,
    FailureScenarios,
    RetryScenarios,
    IdiomScenarios,
    DeterminismScenarios,
    ChangedCodeScenarios,
    UnknownCodeScenarios,
    BoundScenarios,
    WorkerScenarios,
    CrashScenarios,
    PayloadScenarios,
    QueryScenarios,
):
    """Everything that orchestrations can do."""
