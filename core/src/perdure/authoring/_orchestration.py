"""Orchestrations: the coroutine functions whose every step is recorded."""

from __future__ import annotations

import dataclasses
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from perdure.authoring._checks import KEEP, Keep, check_function, check_retry, checked_name, location_of, look_of
from perdure.authoring._raises import check_raises, restore
from perdure.authoring._signature import Signature
from perdure.errors import Failure, Misuse, SubOrchestrationError
from perdure.ids import check_instance_id, check_name
from perdure.replay import Call, Program, ReplayLoop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Sequence

    from perdure.authoring._retry import Retry

__all__ = ["Orchestration", "OrchestrationCall", "OrchestrationDecorator", "orchestration"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Orchestration(Generic[P, R]):
    """A coroutine function that survives crashes; made by `@orchestration`.

    Calling it gives an `OrchestrationCall`: awaited in an orchestration it becomes a sub-orchestration, given to
    `hub.start` an instance; awaited anywhere else it just runs the function.

    Attributes:
        name: Under which instances are recorded and workers find the function.
        fn: The function itself.
        version: Which code of this name it is; an instance keeps the version that it began with.
        queue: Queue that its turns go to.
        raises: Exception classes that a parent gets as themselves.
        signature: How its arguments and its result become bytes.
        id: Instance id of a sub-orchestration; None means one derived from the parent's.
        retry: When a failed sub-orchestration is tried again; None means never.
    """

    name: str
    fn: Callable[P, Coroutine[Any, Any, R]]
    version: str | None
    queue: str
    raises: tuple[type[Exception], ...]
    signature: Signature
    id: str | None = None
    retry: Retry | None = None

    def __post_init__(self) -> None:
        vars(self).update(look_of(self.fn))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> OrchestrationCall[R]:
        """Prepare a call; it starts when it is first awaited, made a task, or given to `hub.start`.

        Arguments that do not match the parameters raise TypeError here, as for any function; `Misuse` for one that
        does not fit its annotation comes at the start.
        """
        return OrchestrationCall(self, self.signature.bind(*args, **kwargs))

    def __repr__(self) -> str:
        version = "" if self.version is None else f" version {self.version!r}"
        return f"<orchestration {self.name!r}{version} at {self.location}>"

    @property
    def location(self) -> str:
        """Where the function is defined, as `file:line`."""
        assert isinstance(self.fn, FunctionType)
        return location_of(self.fn)

    @property
    def program(self) -> Program:
        """The orchestration as replay needs it."""
        return Program(
            name=self.name,
            version=self.version,
            start=self._begin,
            encode_result=self.signature.encode_result,
        )

    def options(
        self,
        *,
        id: str | Keep | None = KEEP,
        retry: Retry | Keep | None = KEEP,
        queue: str | Keep = KEEP,
    ) -> Orchestration[P, R]:
        """Give a copy with other options, to call a sub-orchestration: `ship.options(id=order.id)(order)`.

        A value out of range raises `Misuse`, which names it.

        Args:
            id: Instance id; None means one derived from the parent's.
            retry: When it is tried again after a failure; None means never.
            queue: Queue that its turns go to.
        """
        where = f"{self.signature.name[:-2]}.options()"
        return dataclasses.replace(
            self,
            id=self.id if id is KEEP else None if id is None else check_instance_id(id),
            retry=self.retry if retry is KEEP else check_retry(retry, where=where),
            queue=self.queue if queue is KEEP else check_name(queue, what="queue"),
        )

    def encode_args(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Write the input of an instance.

        TypeError says that the arguments do not match the parameters, `Misuse` which of them does not fit its
        annotation.
        """
        return self.signature.encode(self.signature.bind(*args, **kwargs))

    def decode_result(self, payload: bytes) -> R:
        """Read a recorded result; `Misuse` if it does not fit the return annotation: other code recorded it."""
        result: R = self.signature.decode_result(payload)
        return result

    def restore(self, failure: Failure, instance_id: str) -> BaseException:
        """Give the exception that a parent gets for a failure of its sub-orchestration."""
        error = SubOrchestrationError(
            f"Orchestration {self.name!r} ({instance_id}) failed: {failure}",
            failure=failure,
            name=self.name,
            instance_id=instance_id,
        )
        return restore(error, failure, self.raises)

    def _begin(self, payload: bytes) -> Coroutine[Any, Any, R]:
        args, kwargs = self.signature.decode(payload)
        call: Callable[..., Coroutine[Any, Any, R]] = self.fn
        return call(*args, **kwargs)


class OrchestrationCall(Call[R]):
    """One call of an orchestration, not yet started.

    Attributes:
        definition: What is called, with its options.
        values: The value of each parameter, in order.
    """

    __slots__ = ("definition", "values")

    def __init__(self, definition: Orchestration[..., R], values: tuple[Any, ...]) -> None:
        super().__init__()
        self.definition = definition
        self.values = values

    def encode_input(self) -> bytes:
        """Write the arguments; if one does not fit its annotation, `Misuse` names the parameter and the value."""
        return self.definition.signature.encode(self.values)

    def decode_result(self, payload: bytes) -> R:
        """Read the recorded result of what this call started; `Misuse` if it does not fit the return annotation."""
        return self.definition.decode_result(payload)

    def _describe(self) -> str:
        return f"orchestration {self.definition.name!r}"

    def _start(self, loop: ReplayLoop) -> asyncio.Future[R]:
        definition = self.definition
        retry = definition.retry
        return loop.start_child(
            name=definition.name,
            instance_id=definition.id,
            version=definition.version,
            input=self.encode_input(),
            decode=definition.decode_result,
            queue=definition.queue,
            retry=None if retry is None else retry.rules(),
            handler=None if retry is None else retry.handler,
            restore=definition.restore,
        )

    async def _run_outside(self) -> R:
        args, kwargs = self.definition.signature.split(self.values)
        call: Callable[..., Coroutine[Any, Any, R]] = self.definition.fn
        return await call(*args, **kwargs)


class OrchestrationDecorator(Protocol):
    """What `@orchestration(...)` gives: it takes a coroutine function."""

    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Orchestration[P, R]: ...


@overload
def orchestration(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Orchestration[P, R]: ...
@overload
def orchestration(
    *,
    name: str | None = None,
    version: str | None = None,
    queue: str = "default",
    raises: Sequence[type[Exception]] = (),
) -> OrchestrationDecorator: ...
def orchestration(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    queue: str = "default",
    raises: Sequence[type[Exception]] = (),
) -> Any:
    """Make a coroutine function an orchestration: `@orchestration`, or `@orchestration(version="2")`.

    A function or an option that cannot work raises `Misuse`, which says what to write instead.

    Args:
        fn: An `async def` function of a module.
        name: Under which instances are recorded; the function's name if not given. Keep it when you rename the
            function: instances that run know this name.
        version: Which code of this name it is, for example "2"; new instances take the newest that a worker has.
        queue: Queue that its turns go to; workers serve queues.
        raises: Exception classes that a parent gets as themselves, with the `SubOrchestrationError` as their cause.
    """

    def decorate(fn: Callable[..., Any]) -> Orchestration[..., Any]:
        function = check_function(fn, decorator="@orchestration")
        where = f"@orchestration on {function.__qualname__}"
        if not inspect.iscoroutinefunction(function):
            raise Misuse(
                f"{where} ({location_of(function)}): it is no `async def` function. Write `async def`; a decorator "
                "below ours must give an `async def` function too. What touches the world is an @activity."
            )
        return Orchestration(
            name=checked_name(function, name, what="orchestration"),
            fn=function,
            version=None if version is None else check_name(version, what="version"),
            queue=check_name(queue, what="queue"),
            raises=check_raises(raises, where=where),
            signature=Signature(function),
        )

    return decorate if fn is None else decorate(fn)
