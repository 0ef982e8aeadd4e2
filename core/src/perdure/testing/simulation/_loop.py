"""An event loop on which time is virtual and who runs next is drawn from a seed.

Theory of operation
-------------------
Callbacks run in the order in which they came, as asyncio promises. Steps of tasks do not: each gets a priority drawn
from the seed, the task and the number of its step, and the smallest runs. So every `await` is a place where any other
task may come first. When nothing is ready, time jumps to the next timer. When there is no timer either, nothing can
ever happen again: `Stuck`.

    call_soon ──callback──► plain, first in first out ──┐
        └──────step of a task──► drawn, by priority ────┴──► run one ──► … ──► none ready ──► time jumps

Rules of this file:
- Equal seeds give equal runs, in every process: nothing here reads a clock, an address or the order of a set. Tasks
  hash by a drawn number, because asyncio keeps them in sets and walks over these.
- What belongs to a process that is dead is dropped, and kept alive: garbage collection would run its `finally` blocks,
  which a killed process does not.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from perdure.errors import Misuse
from perdure.testing.simulation._life import Life, life_of
from perdure.testing.simulation._refused import WorldlessLoop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from perdure.testing.simulation._chance import Chance

__all__ = ["SimulationLoop", "Stuck", "TooBusy", "refuse_inside_of_a_loop"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

GRAINS_PER_SECOND = 2**20
"""Timers end on whole grains, which a float holds exactly next to a date: `now() + x` is reached, not just missed."""

STEADY_STEPS = 16
"""In every fourth seed a task keeps its priority for so many steps: some are then far ahead of others."""

STEPS_MAX = 5_000_000
SWEEP_AT = 256


class Stuck(RuntimeError):
    """Nothing is ready and no timer runs: whoever waits waits for ever."""


class TooBusy(RuntimeError):
    """Time does not move, because some task is always ready."""


class SimulatedTask(asyncio.Task[R]):
    """A task with a number. `order` is there before `__init__`, which puts the task into asyncio's own sets."""

    __slots__ = ("life", "name_of_step", "order", "steps")
    order: int
    life: Life
    name_of_step: str
    steps: int

    def __hash__(self) -> int:
        return self.order


class SimulatedFuture(asyncio.Future[R]):
    """A future that hashes by a number."""

    __slots__ = ("order",)
    order: int

    def __hash__(self) -> int:
        return self.order


def refuse_inside_of_a_loop() -> None:
    """Refuse to begin where another loop runs.

    Raises:
        Misuse: One runs in this thread: call from a plain function.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - what asyncio offers to makers of loops
        raise Misuse("An event loop runs in this thread already: call the simulation from a plain function.")


class SimulationLoop(WorldlessLoop):
    """One thread, virtual time, drawn order.

    Args:
        chance: Draws the order.
        note: Gets a line for each step of a task; the same lines in the same order for the same seed.

    Attributes:
        unhandled: Errors that nobody looked at, as text.
        step_count: Steps of tasks so far.
    """

    def __init__(self, chance: Chance, note: Callable[[str], object]) -> None:
        self.unhandled: list[str] = []
        self.step_count = 0
        self._chance = chance
        self._is_steady = chance.share("steady") < 1 / 4
        self._note = note
        self._elapsed = 0.0
        self._outside = Life("")
        self._plain: deque[asyncio.Handle] = deque()
        self._drawn: list[tuple[int, int, asyncio.Handle, SimulatedTask[Any]]] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._futures = itertools.count(1)
        self._tasks: list[asyncio.Task[Any]] = []
        self._sweep_at = SWEEP_AT
        self._is_running = False
        self._is_closed = False

    # ---- running -------------------------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Run until a coroutine or future is done, and give its result.

        Raises:
            Misuse: Another loop runs in this thread.
            Stuck: It can never be done.
            TooBusy: It is not done after millions of steps.
        """
        refuse_inside_of_a_loop()
        hooks = sys.get_asyncgen_hooks()
        self._is_running = True
        asyncio._set_running_loop(self)  # noqa: SLF001
        sys.set_asyncgen_hooks(finalizer=self._finalize)
        try:
            done: asyncio.Future[Any] = asyncio.ensure_future(future, loop=self)
            while not done.done():
                self._run_one()
            return done.result()
        finally:
            self._is_running = False
            asyncio._set_running_loop(None)  # noqa: SLF001
            sys.set_asyncgen_hooks(*hooks)

    def _run_one(self) -> None:
        if self._plain:
            self._perform(self._plain.popleft())
        elif self._drawn:
            _, _, handle, task = heapq.heappop(self._drawn)
            self._step(handle, task)
        else:
            self._jump()

    def _step(self, handle: asyncio.Handle, task: SimulatedTask[Any]) -> None:
        life = task.life
        if not self._may_run(handle, life):
            return
        life.steps += 1
        self.step_count += 1
        if self.step_count > STEPS_MAX:
            raise TooBusy(f"not done after {STEPS_MAX:,} steps, {self._elapsed:g} virtual seconds: {task!r:.300}")
        if life.steps == life.dies_at:
            life.held.append(handle)
            life.die()
        elif life.steps == life.pauses_at:
            self._pause(life, handle)
        else:
            task.steps += 1
            self._note(f"{self._elapsed!r} {task.name_of_step}")
            handle._run()  # noqa: SLF001 - how a handle is run

    def _perform(self, handle: asyncio.Handle) -> None:
        if self._may_run(handle, self._life_of(handle)):
            handle._run()  # noqa: SLF001

    def _may_run(self, handle: asyncio.Handle, life: Life) -> bool:
        if life.is_paused or life.is_over:
            life.held.append(handle)  # kept alive: of a dead process nothing is ever collected
            return False
        return not handle.cancelled()

    def _pause(self, life: Life, handle: asyncio.Handle) -> None:
        life.is_paused = True
        life.held.append(handle)
        life.on_pause()
        self.call_later(life.pause_seconds, self._resume, life, context=contextvars.Context())

    def _resume(self, life: Life) -> None:
        life.is_paused = False
        if not life.is_over:
            self.release(life)

    def release(self, life: Life) -> None:
        """Let go on what a process held back."""
        held, life.held = life.held, []
        for handle in held:
            self._make_ready(handle)

    def _jump(self) -> None:
        """Let time pass until the next timer is due."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise Stuck(f"nothing is ready and no timer runs, after {self._elapsed:g} virtual seconds")
        self._elapsed = max(self._elapsed, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._elapsed:
            self._plain.append(heapq.heappop(self._timers)[2])

    def _life_of(self, handle: asyncio.Handle) -> Life:
        return life_of(handle._context) or self._outside  # type: ignore[attr-defined]  # noqa: SLF001

    # ---- callbacks and timers ------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._elapsed

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run a callback when those before it have run; a step of a task when it is drawn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._make_ready(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run a callback soon, asked for from this very thread.

        Raises:
            Misuse: Another thread asks: its time is real, so no two runs would be the same.
        """
        if asyncio._get_running_loop() is not self:  # noqa: SLF001
            raise Misuse("Another thread calls into a simulation, which has one: have the activity do it in line.")
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback after so many virtual seconds."""
        return self.call_at(self._elapsed + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a virtual time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if when < math.inf:
            due = math.ceil(when * GRAINS_PER_SECOND) / GRAINS_PER_SECOND
            heapq.heappush(self._timers, (due, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: cancelled timers are passed over when they are due."""

    def _make_ready(self, handle: asyncio.Handle) -> None:
        task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]  # noqa: SLF001
        if isinstance(task, SimulatedTask):
            heapq.heappush(self._drawn, (self._priority(task), next(self._numbers), handle, task))
        else:
            self._plain.append(handle)

    def _priority(self, task: SimulatedTask[Any]) -> int:
        turn = task.steps // STEADY_STEPS if self._is_steady else task.steps
        return self._chance.number(f"{task.name_of_step}/{turn}")

    # ---- tasks and futures ---------------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future."""
        future: SimulatedFuture[Any] = SimulatedFuture.__new__(SimulatedFuture)  # pyright: ignore[reportUnknownVariableType]
        future.order = next(self._futures)
        future.__init__(loop=self)  # type: ignore[misc] # the hash has to be there before
        return future

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        """Make a task: of the process that its context belongs to."""
        life = life_of(context) or self._outside
        life.task_count += 1
        task: SimulatedTask[Any] = SimulatedTask.__new__(SimulatedTask)  # pyright: ignore[reportUnknownVariableType]
        task.life = life
        task.name_of_step = f"{life.name}/{life.task_count}"
        task.order = self._chance.number(f"order {task.name_of_step}") >> 4
        task.steps = 0
        if len(self._tasks) >= self._sweep_at:
            self._sweep()
        self._tasks.append(task)
        task.__init__(coro, loop=self, name=None if name is None else str(name), context=context, **options)  # type: ignore[misc]
        return task

    def _sweep(self) -> None:
        self._tasks = self.live_tasks()
        self._sweep_at = max(SWEEP_AT, 2 * len(self._tasks))

    def get_task_factory(self) -> None:
        """Tell that tasks are made here."""

    def run_in_executor(  # type: ignore[override] # as loose as asyncio's own loops
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call a function right here: there is one thread. It holds up everything, and takes no virtual time."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to who waits for it
            future.set_exception(error)
        return future

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._is_closed:
            self.create_task(generator.aclose())

    # ---- what asyncio asks ---------------------------------------------------------------------------------------

    def live_tasks(self) -> list[asyncio.Task[Any]]:
        """List the tasks that are not done, those of dead processes too, in the order of making."""
        return [task for task in self._tasks if not task.done()]

    def get_debug(self) -> bool:
        """Tell that debug mode is off."""
        return False

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self._is_running

    def is_closed(self) -> bool:
        """Tell whether it is closed."""
        return self._is_closed

    def close(self) -> None:
        """Drop everything that is ready or timed."""
        self._is_closed = True
        for waiting in (self._plain, self._drawn, self._timers):
            waiting.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an error that nobody looked at."""
        error = context.get("exception")
        what = f": {type(error).__name__}: {error}" if error is not None else ""
        self.unhandled.append(f"{context.get('message')}{what}")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an error that nobody looked at."""
        self.call_exception_handler(context)
