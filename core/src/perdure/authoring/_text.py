"""User data as people write and read it: JSON in, readable text out."""

from __future__ import annotations

import json
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.errors import Misuse

if TYPE_CHECKING:
    from perdure.authoring._activity import Activity
    from perdure.authoring._orchestration import Orchestration
    from perdure.authoring._signature import Signature

__all__ = ["SHOWN_CHARACTERS", "json_input", "show"]

Json = dict[str, Any] | list[Any] | str | float | None

SHOWN_CHARACTERS = 2_000
_SHOWN_BYTES_MAX = 1_000_000
_SAMPLE_BYTES = 32


def json_input(definition: Activity[..., Any] | Orchestration[..., Any], value: Json) -> bytes:
    """Make the input of a definition from a value of JSON, as the command line takes it.

    The first rule that fits holds:

    1. An object whose keys are all names of parameters gives arguments by name. With `**kwargs` every key is such a
       name. `{}` gives none, unless there is exactly one parameter and it needs a value: then rule 3.
    2. A list gives positional arguments, unless there is exactly one parameter and it is not `*args`.
    3. Anything else is the value of the first parameter; `null` is nothing where there is no parameter.

    Then every value is made what its annotation says: text becomes a datetime, a UUID, a Decimal, bytes (base64).

    Raises:
        Misuse: It does not fit the parameters; the message names the parameter.
    """
    signature = definition.signature
    args, kwargs = _arguments(signature, value)
    try:
        values = signature.bind(*args, **kwargs)
    except TypeError as exc:
        raise Misuse(f"{exc}. The parameters are {_listed(signature)}.") from exc
    codecs = signature.parameter_codecs()
    return signature.encode(tuple(codec.convert(one) for codec, one in zip(codecs, values, strict=True)))


def show(payload: bytes, limit: int = SHOWN_CHARACTERS) -> str:
    """Show recorded data to people: JSON where it can be, safe to print, never an error.

    Args:
        payload: What was recorded; anything is allowed.
        limit: Most characters; what is longer ends in `…`.
    """
    if len(payload) > _SHOWN_BYTES_MAX:
        return f"<{len(payload):,} bytes>"[:limit]
    try:
        value = msgspec.msgpack.decode(payload)
        text = json.dumps(value, ensure_ascii=False, default=_readable)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        more = " …" if len(payload) > _SAMPLE_BYTES else ""
        text = f"<{len(payload):,} bytes: {payload[:_SAMPLE_BYTES].hex(' ')}{more}>"
    # Recorded data may come from anywhere: what moves a terminal's cursor must not reach it.
    text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[: limit + 1])
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _arguments(signature: Signature, value: Json) -> tuple[list[Any], dict[str, Any]]:
    parameters = signature.parameters
    if value is None and not parameters:
        return [], {}
    if isinstance(value, dict) and _names_parameters(value, parameters):
        return _by_name(value, parameters)
    if isinstance(value, list) and (len(parameters) != 1 or parameters[0].kind is Parameter.VAR_POSITIONAL):
        return value, {}
    if parameters and parameters[0].kind is Parameter.KEYWORD_ONLY:
        return [], {parameters[0].name: value}
    return [value], {}


def _names_parameters(value: dict[str, Any], parameters: tuple[Parameter, ...]) -> bool:
    if not value and len(parameters) == 1:
        only = parameters[0]
        return only.default is not Parameter.empty or only.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return True
    return value.keys() <= {one.name for one in parameters if one.kind is not Parameter.VAR_POSITIONAL}


def _by_name(value: dict[str, Any], parameters: tuple[Parameter, ...]) -> tuple[list[Any], dict[str, Any]]:
    """Python takes no positional-only parameter by name; JSON has nothing else."""
    rest = dict(value)
    args: list[Any] = []
    for parameter in parameters:
        if parameter.kind is not Parameter.POSITIONAL_ONLY or parameter.name not in rest:
            break
        args.append(rest.pop(parameter.name))
    return args, rest


def _listed(signature: Signature) -> str:
    return ", ".join(str(parameter) for parameter in signature.parameters) or "none"


def _readable(value: Any) -> str:
    match value:
        case bytes():
            return repr(value)
        case msgspec.msgpack.Ext():
            return f"extension {value.code}: {bytes(value.data)!r}"
        case _:
            return str(value)
