"""What `perdure history` says of each event, on one line. Pure."""

from __future__ import annotations

from perdure import events
from perdure.authoring import show
from perdure.cli._words import duration, printable

__all__ = ["describe"]

SHOWN_CHARACTERS = 200


def describe(event: events.HistoryEvent, now: float) -> str:
    """Say what an event tells; `now` is the orchestration clock of its turn."""
    return printable(_describe(event, now))


def _describe(event: events.HistoryEvent, now: float) -> str:  # noqa: PLR0912, C901, PLR0911 - one line per kind of event
    match event:
        case events.TurnStarted(worker=worker, code_version=code, python_minor=minor):
            return f"turn on {worker} (code {code}, Python 3.{minor})"
        case events.ExecutionStarted(name=name, version=version):
            by = f" by {event.parent.instance_id}" if event.parent is not None else ""
            return f"started {name}{f' {version}' if version else ''}{by} with {_show(event.input)}"
        case events.ExecutionCompleted(result):
            return f"completed with {_show(result)}"
        case events.ExecutionFailed(failure):
            return f"failed: {failure}"
        case events.ExecutionCanceled(reason):
            return f"canceled: {reason}"
        case events.TaskScheduled() | events.SubOrchestrationCreated():
            return f"#{event.seq} asked for {_asked(event)} with {_show(event.input)}"
        case events.TaskCompleted() | events.SubOrchestrationCompleted():
            return f"#{event.seq} returned {_show(event.result)}"
        case events.TaskFailed() | events.SubOrchestrationFailed():
            return f"#{event.seq} failed: {event.failure}"
        case events.TaskCancelRequested(seq=seq):
            return f"#{seq} is no longer wanted"
        case events.TimerCreated(seq=seq, fire_at=fire_at):
            return f"#{seq} timer set for {duration(fire_at - now)}"
        case events.TimerFired(seq=seq):
            return f"#{seq} timer fired"
        case events.TimerCanceled(seq=seq):
            return f"#{seq} timer is no longer wanted"
        case events.EventRaised(name=name):
            return f"event {name} arrived with {_show(event.input)}"
        case events.TurnFailed(reason=reason):
            return f"stalled: {reason}"


def _asked(event: events.TaskScheduled | events.SubOrchestrationCreated) -> str:
    attempt = f" (attempt {event.attempt} of #{event.attempt_of})" if event.attempt_of else ""
    queue = f" on queue {event.queue}" if event.queue != "default" else ""
    if isinstance(event, events.SubOrchestrationCreated):
        return f"sub-orchestration {event.name} as {event.instance_id}{attempt}{queue}"
    return f"activity {event.name}{attempt}{queue}"


def _show(payload: events.Payload) -> str:
    if isinstance(payload, events.PayloadRef):
        return f"<{payload.length:,} bytes>"
    return show(payload, SHOWN_CHARACTERS)
