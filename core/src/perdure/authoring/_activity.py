"""Activities: the functions that touch the world, called from an orchestration and recorded."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from perdure.authoring._checks import (
    KEEP,
    Keep,
    check_function,
    check_retry,
    check_timeout,
    checked_name,
    location_of,
    look_of,
)
from perdure.authoring._info import activity_outside
from perdure.authoring._raises import check_raises, restore
from perdure.authoring._signature import Signature
from perdure.errors import ActivityError, Failure
from perdure.ids import check_name
from perdure.replay import Call, ReplayLoop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Sequence

    from perdure.authoring._retry import Retry

__all__ = ["Activity", "ActivityCall", "ActivityDecorator", "activity"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Activity(Generic[P, R]):
    """A function whose calls are recorded; made by `@activity`.

    Calling it gives a `Call`: awaited in an orchestration it is run by a worker, once or more, and its recorded result
    is the answer for ever; awaited anywhere else it just runs the function.

    Attributes:
        name: Under which calls are recorded and workers find the function.
        fn: The function itself.
        queue: Queue that its tasks go to.
        retry: When a failed call is tried again; None means never.
        timeout: Seconds that one attempt may take from its start; 0 means no limit.
        raises: Exception classes that an orchestration gets as themselves.
        signature: How its arguments and its result become bytes.
    """

    name: str
    fn: Callable[P, Any]
    queue: str
    retry: Retry | None
    timeout: float
    raises: tuple[type[Exception], ...]
    signature: Signature

    def __post_init__(self) -> None:
        vars(self).update(look_of(self.fn))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Prepare a call; it starts when it is first awaited or made a task.

        Arguments that do not match the parameters raise TypeError here, as for any function; `Misuse` for one that
        does not fit its annotation comes at the start.
        """
        return ActivityCall(self, self.signature.bind(*args, **kwargs))

    def __repr__(self) -> str:
        return f"<activity {self.name!r} at {self.location}>"

    @functools.cached_property
    def is_async(self) -> bool:
        """Whether the function is `async def`; if not, a worker runs it in a thread."""
        return inspect.iscoroutinefunction(self.fn)

    @property
    def location(self) -> str:
        """Where the function is defined, as `file:line`."""
        assert isinstance(self.fn, FunctionType)
        return location_of(self.fn)

    def options(
        self,
        *,
        retry: Retry | Keep | None = KEEP,
        queue: str | Keep = KEEP,
        timeout: float | Keep = KEEP,
    ) -> Activity[P, R]:
        """Give a copy with other options: `charge.options(queue="gpu")(order)`.

        A value out of range raises `Misuse`, which names it.

        Args:
            retry: When a failed call is tried again; None means never.
            queue: Queue that its tasks go to.
            timeout: Seconds that one attempt may take from its start; 0 means no limit.
        """
        where = f"{self.signature.name[:-2]}.options()"
        return dataclasses.replace(
            self,
            retry=self.retry if retry is KEEP else check_retry(retry, where=where),
            queue=self.queue if queue is KEEP else check_name(queue, what="queue"),
            timeout=self.timeout if timeout is KEEP else check_timeout(timeout, where=where),
        )

    def encode_args(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Write the arguments of a call.

        TypeError says that they do not match the parameters, `Misuse` which of them does not fit its annotation.
        """
        return self.signature.encode(self.signature.bind(*args, **kwargs))

    def decode_args(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Read recorded arguments, to call `fn` with.

        If they do not fit, `Misuse` names the parameter; no retry mends that.
        """
        return self.signature.decode(payload)

    def encode_result(self, value: object) -> bytes:
        """Write what `fn` returned; `Misuse` if it does not fit the return annotation, which no retry mends."""
        return self.signature.encode_result(value)

    def decode_result(self, payload: bytes) -> R:
        """Read a recorded result; `Misuse` if it does not fit the return annotation: other code recorded it."""
        result: R = self.signature.decode_result(payload)
        return result

    def restore(self, failure: Failure, _: str = "") -> BaseException:
        """Give the exception that awaiting code gets for a failure."""
        error = ActivityError(f"Activity {self.name!r} failed: {failure}", failure=failure, name=self.name)
        return restore(error, failure, self.raises)


class ActivityCall(Call[R]):
    """One call of an activity, not yet started."""

    __slots__ = ("activity", "values")

    def __init__(self, activity: Activity[..., R], values: tuple[Any, ...]) -> None:
        super().__init__()
        self.activity = activity
        self.values = values

    def _describe(self) -> str:
        return f"activity {self.activity.name!r}"

    def _start(self, loop: ReplayLoop) -> asyncio.Future[R]:
        activity = self.activity
        retry = activity.retry
        return loop.start_task(
            name=activity.name,
            input=activity.signature.encode(self.values),
            decode=activity.decode_result,
            queue=activity.queue,
            timeout=activity.timeout,
            retry=None if retry is None else retry.rules(),
            handler=None if retry is None else retry.handler,
            restore=activity.restore,
        )

    async def _run_outside(self) -> R:
        args, kwargs = self.activity.signature.split(self.values)
        with activity_outside(self.activity.name):
            result: R
            if self.activity.is_async:
                result = await self.activity.fn(*args, **kwargs)
            else:
                result = self.activity.fn(*args, **kwargs)
                self.activity.signature.refuse_coroutine(result)
            return result


class ActivityDecorator(Protocol):
    """What `@activity(...)` gives: it takes an async or a sync function."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Activity[P, R]: ...


@overload
def activity(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...
@overload
def activity(fn: Callable[P, R], /) -> Activity[P, R]: ...
@overload
def activity(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float = 0,
    queue: str = "default",
    raises: Sequence[type[Exception]] = (),
) -> ActivityDecorator: ...
def activity(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float = 0,
    queue: str = "default",
    raises: Sequence[type[Exception]] = (),
) -> Any:
    """Make a function an activity: `@activity`, or `@activity(timeout=30)`.

    A function or an option that cannot work raises `Misuse`, which says what to write instead.

    Args:
        fn: An async or sync function of a module.
        name: Under which its calls are recorded; the function's name if not given. Keep it when you rename the
            function: instances that run know this name.
        retry: When a failed call is tried again; None means never.
        timeout: Seconds that one attempt may take from its start; 0 means no limit.
        queue: Queue that its tasks go to; workers serve queues.
        raises: Exception classes that an orchestration gets as themselves, with the `ActivityError` as their cause.
    """

    def decorate(fn: Callable[..., Any]) -> Activity[..., Any]:
        function = check_function(fn, decorator="@activity")
        where = f"@activity on {function.__qualname__}"
        return Activity(
            name=checked_name(function, name, what="activity"),
            fn=function,
            queue=check_name(queue, what="queue"),
            retry=check_retry(retry, where=where),
            timeout=check_timeout(timeout, where=where),
            raises=check_raises(raises, where=where),
            signature=Signature(function),
        )

    return decorate if fn is None else decorate(fn)
