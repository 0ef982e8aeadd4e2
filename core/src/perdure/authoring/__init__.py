"""What application code imports: decorators, events, options, and stand-ins for clock, randomness and log."""

from perdure.authoring._activity import Activity, ActivityCall, ActivityDecorator, activity
from perdure.authoring._event import Event, EventWait
from perdure.authoring._info import ActivityInfo, Current, _activity_info_var, activity_info, current
from perdure.authoring._orchestration import Orchestration, OrchestrationCall, OrchestrationDecorator, orchestration
from perdure.authoring._registry import Definition, Registry, collect
from perdure.authoring._retry import Retry
from perdure.authoring._signature import Signature
from perdure.authoring._stand_ins import logger, now, rng, uuid4
from perdure.authoring._text import json_input, show

__all__ = [
    "Activity",
    "ActivityCall",
    "ActivityDecorator",
    "ActivityInfo",
    "Current",
    "Definition",
    "Event",
    "EventWait",
    "Orchestration",
    "OrchestrationCall",
    "OrchestrationDecorator",
    "Registry",
    "Retry",
    "Signature",
    "_activity_info_var",
    "activity",
    "activity_info",
    "collect",
    "current",
    "json_input",
    "logger",
    "now",
    "orchestration",
    "rng",
    "show",
    "uuid4",
]
