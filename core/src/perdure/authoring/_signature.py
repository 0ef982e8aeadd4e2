"""The parameters and the result of one function, as data.

The arguments of a call are recorded as one array: every parameter in the order of the signature, `*args` as an array
and `**kwargs` as a map. A reader whose function has more parameters than were recorded takes its defaults, so **a
parameter with a default can be added at the end**; more values than parameters are refused, for what they say would
be lost. Names are not recorded: renaming a parameter is free.
"""

from __future__ import annotations

import functools
import inspect
import typing
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import msgspec

from perdure.authoring._data import UNREADABLE, ValueCodec, brief, decode_custom, encoder
from perdure.errors import Misuse

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Signature"]

_PLACED = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Codecs:
    """What can be built only once every annotation can be resolved."""

    parameters: tuple[ValueCodec, ...]
    arguments: msgspec.msgpack.Decoder[Any]
    result: ValueCodec


class Signature:
    """How one function is called, and how its arguments and its result become bytes.

    Attributes:
        name: What messages call the function, for example `issue_invoice()`.
        parameters: In order.
        bind: Takes the arguments of a call and gives the value of each parameter, in order; raises TypeError with
            the words that the function itself would use.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        """Read the signature of a function.

        `Misuse` names the parameter whose annotation cannot be recorded or whose default does not fit it.
        """
        self._fn = fn
        self.name = f"{fn.__name__}()"
        self.parameters = tuple(inspect.signature(fn).parameters.values())
        self._are_placed = all(parameter.kind in _PLACED for parameter in self.parameters)
        self.bind = _binder(fn.__qualname__, self.parameters)
        self._codecs: _Codecs | None = None
        try:
            self._codecs = self._build()
        except (NameError, AttributeError):
            # The annotation names what the module defines further down: tried again at the first use.
            self._codecs = None

    def encode(self, values: tuple[Any, ...]) -> bytes:
        """Write the arguments that `bind` gave; `Misuse` names the parameter and the value that does not fit."""
        codecs = self._ready()
        try:
            payload = encoder.encode(values)
            codecs.arguments.decode(payload)
        except (TypeError, OverflowError, *UNREADABLE) as exc:
            misfit = _first_misfit(
                (codec.encode, value) for codec, value in zip(codecs.parameters, values, strict=True)
            )
            raise misfit or Misuse(f"The arguments of {self.name} cannot be recorded: {exc}.") from exc
        return payload

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Read recorded arguments.

        If they do not fit, other code recorded them: `Misuse` names the parameter.

        Returns:
            Positional and keyword arguments to call the function with.
        """
        codecs = self._ready()
        try:
            recorded = codecs.arguments.decode(payload)
        except UNREADABLE as exc:
            raise self._misfit(payload) from exc
        return self.split(msgspec.structs.astuple(recorded))

    def split(self, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort the value of each parameter into positional and keyword arguments."""
        if self._are_placed:
            return values, {}
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter, value in zip(self.parameters, values, strict=True):
            if parameter.kind in _PLACED:
                positional.append(value)
            elif parameter.kind is Parameter.VAR_POSITIONAL:
                positional.extend(value)
            elif parameter.kind is Parameter.KEYWORD_ONLY:
                keywords[parameter.name] = value
            else:
                keywords.update(value)
        return tuple(positional), keywords

    def encode_result(self, value: object) -> bytes:
        """Write what the function returned; `Misuse` if it does not fit the return annotation."""
        self.refuse_coroutine(value)
        return self._ready().result.encode(value)

    def refuse_coroutine(self, value: object) -> None:
        """Notice that a function which is not async returned a coroutine: it has not done its work.

        Raises:
            Misuse: It did; the message says how to decorate it.
        """
        if inspect.iscoroutine(value):
            value.close()
            raise Misuse(
                f"{self.name} returned a coroutine: a decorator below ours wraps an `async def` function in a plain "
                "one. Make the wrapper `async def`, and await inside it."
            )

    def decode_result(self, payload: bytes) -> Any:
        """Read what the function returned; `Misuse` if it does not fit the return annotation."""
        return self._ready().result.decode(payload)

    def parameter_codecs(self) -> tuple[ValueCodec, ...]:
        """Give the codec of each parameter, in order."""
        return self._ready().parameters

    def _ready(self) -> _Codecs:
        if self._codecs is None:
            try:
                self._codecs = self._build()
            except (NameError, AttributeError) as exc:
                raise Misuse(
                    f"An annotation of {self.name} cannot be resolved: {exc}. Define or import what it names at the "
                    f"top level of {self._fn.__module__}, not inside a function or under TYPE_CHECKING."
                ) from exc
        return self._codecs

    def _build(self) -> _Codecs:
        hints = typing.get_type_hints(self._fn, include_extras=True)
        codecs = tuple(self._codec(parameter, hints.get(parameter.name, Any)) for parameter in self.parameters)
        fields = [_field(index, codec, self.parameters[index]) for index, codec in enumerate(codecs)]
        # kw_only lets a parameter without default follow one that has one, as keyword-only parameters may.
        array = msgspec.defstruct("Arguments", fields, array_like=True, forbid_unknown_fields=True, kw_only=True)
        result = hints.get("return", Any)
        return _Codecs(
            parameters=codecs,
            arguments=msgspec.msgpack.Decoder(array, dec_hook=decode_custom),
            result=ValueCodec(
                None if result in {typing.NoReturn, typing.Never} else result,
                subject=f"The result of {self.name}",
                root="result",
            ),
        )

    def _codec(self, parameter: Parameter, hint: Any) -> ValueCodec:
        make = functools.partial(ValueCodec, root=parameter.name)
        subject = f"Parameter {parameter.name!r} of {self.name}"
        codec = make(_recorded_type(parameter, hint), subject=subject)
        if parameter.default is None:
            return make(typing.Optional[codec.type], subject=subject)  # noqa: UP045 - `|` refuses some types.
        if parameter.default is not Parameter.empty:
            # It is recorded with every call that does not give another.
            make(codec.type, subject=f"The default of parameter {parameter.name!r} of {self.name}").encode(
                parameter.default
            )
        return codec

    def _misfit(self, payload: bytes) -> Misuse:
        """Find the parameter that recorded arguments do not fit."""
        try:
            recorded = msgspec.msgpack.decode(payload, type=list[msgspec.Raw])
        except UNREADABLE:
            return Misuse(f"The recorded arguments of {self.name} are not an array of values: {brief(payload)}.")
        pairs = zip(self._ready().parameters, recorded, strict=False)
        misfit = _first_misfit((codec.decode, value) for codec, value in pairs)
        if misfit is not None:
            return misfit
        missing = self.parameters[len(recorded) :]
        what = f"{missing[0].name!r} is missing" if missing else "the last ones have no parameter here"
        return Misuse(
            f"{len(recorded)} arguments were recorded for {self.name}, which has {len(self.parameters)} parameters; "
            f"{what}. Other code recorded them: add parameters at the end only and with a default, remove none."
        )


def _first_misfit(attempts: Iterable[tuple[Callable[[Any], Any], Any]]) -> Misuse | None:
    """Try values one by one: the first that does not fit explains itself better than all of them together."""
    for attempt, value in attempts:
        try:
            attempt(value)
        except Misuse as misfit:
            return misfit
    return None


def _recorded_type(parameter: Parameter, hint: Any) -> Any:
    if typing.get_origin(hint) is typing.Unpack:
        return typing.get_args(hint)[0]
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return list[hint]
    return dict[str, hint] if parameter.kind is Parameter.VAR_KEYWORD else hint


def _field(index: int, codec: ValueCodec, parameter: Parameter) -> Any:
    name = f"parameter_{index}"  # Users' names are theirs: one may be a name that a struct needs.
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return (name, codec.type, msgspec.field(default_factory=list))
    if parameter.kind is Parameter.VAR_KEYWORD:
        return (name, codec.type, msgspec.field(default_factory=dict))
    if parameter.default is Parameter.empty:
        return (name, codec.type)
    return (name, codec.type, msgspec.field(default_factory=lambda: parameter.default))


def _binder(qualname: str, parameters: tuple[Parameter, ...]) -> Callable[..., tuple[Any, ...]]:
    """Make a function of the same parameters that returns their values.

    Python's own way of binding is twenty times as fast as `inspect.Signature.bind`, and its errors are the ones that
    people know.
    """
    bare = [parameter.replace(default=Parameter.empty, annotation=Parameter.empty) for parameter in parameters]
    names = "".join(f"{parameter.name}, " for parameter in bare)
    heads = str(inspect.Signature(bare))[1:-1]
    bind: Any = eval(f"lambda {heads}: ({names})", {})  # noqa: S307 - made of names of parameters only.
    given = [parameter for parameter in parameters if parameter.default is not Parameter.empty]
    bind.__defaults__ = tuple(parameter.default for parameter in given if parameter.kind in _PLACED)
    bind.__kwdefaults__ = {parameter.name: parameter.default for parameter in given if parameter.kind not in _PLACED}
    bind.__name__, bind.__qualname__ = qualname.rpartition(".")[2], qualname
    binder: Callable[..., tuple[Any, ...]] = bind
    return binder
