"""Hub URLs, taken apart: `scheme:path?option=value`, percent-encoded, without secrets."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from perdure.errors import Misuse
from perdure.spi import Location

__all__ = ["anchor", "parse_location"]

EXAMPLE = "for example sqlite:.perdure or s3://bucket/prefix?region=eu-central-1"

# Two characters at least, so that the drive letter of C:\hub is no scheme.
_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<slashes>//)?(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL
)
# `user:password@…`; a password may hold a slash, a port after the host may not be taken for one.
_USER = re.compile(r"[^/@]*@|[^/@:]*:(?!\d*(/|$))[^@]*@")
_SECRETS = re.compile(r"passw|secret|token|accesskey|accountkey|sharedaccess|connectionstring|^sig$")
_WITHOUT_FILES = frozenset({"memory"})
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parse_location(url: str) -> Location:
    """Take a hub's URL apart.

    Args:
        url: `scheme:path?option=value&…`. Path and options are percent-decoded: write `%3F` for a question mark and
            `%25` for a percent sign in a path; everything else may stand as it is.

    Returns:
        Its parts; `path` is relative as it was given, without a leading `//`.

    Raises:
        Misuse: It is no such URL, or it holds a secret (which the message does not repeat).
    """
    return parse_named(url, what="The hub's URL")


def parse_named(url: object, *, what: str) -> Location:
    """Take a URL apart, as `parse_location`; `what` begins the messages and says where the value came from."""
    if not isinstance(url, str):
        raise Misuse(f"{what} is text, not {type(url).__name__}: {url!r:.80}. Write {EXAMPLE}.")
    shown = f"{what} {url.partition('?')[0]!r}"  # Without options: one of them may hold a secret.
    found = _SHAPE.fullmatch(url)
    if found is None:
        raise Misuse(f"{shown} has no scheme: write scheme:path, {EXAMPLE}.")
    _refuse_user(found, what)
    return Location(
        url=url,
        scheme=found["scheme"].lower(),
        path=_decode(found["path"], shown),
        options=MappingProxyType(_options(found["query"], shown)),
    )


def anchor(url: str, folder: Path) -> str:
    """Make a relative path in a URL absolute: it is meant relative to `folder`.

    A path is what follows the scheme without `//`: `s3://bucket` names no file, and neither does `memory:name`. `~/` is
    the user's home.
    """
    location = parse_location(url)
    head, _, query = url.partition("?")
    path = head.partition(":")[2]
    if location.scheme in _WITHOUT_FILES or not path or path.startswith("/"):
        return url
    relative = Path(location.path).expanduser() if location.path.startswith("~/") else Path(location.path)
    absolute = str((folder / relative).absolute()).replace("%", "%25").replace("?", "%3F")
    return f"{location.scheme}:{absolute}" + (f"?{query}" if query else "")


def _refuse_user(found: re.Match[str], what: str) -> None:
    rest = found["path"]
    has_user = _USER.match(rest) if found["slashes"] else re.match(r"[^/@:]+:[^/@]*@", rest)
    if has_user:
        shown = f"{found['scheme']}:{found['slashes'] or ''}…@{rest.rpartition('@')[2]}"
        raise Misuse(
            f"{what} {shown!r} holds a user or password before the @: take it out. Providers find credentials where "
            "their SDKs look (environment variables, profiles, the machine's identity)."
        )


def _options(query: str | None, shown: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        name = _decode(name, shown)
        if _SECRETS.search(name.lower().replace("_", "").replace("-", "")):
            raise Misuse(
                f"{shown} has an option {name!r}: a URL holds no secrets, it ends in logs. Take it out; providers find "
                "credentials where their SDKs look."
            )
        if not name or not equals:
            raise Misuse(f"{shown} has the option {part!r}: write name=value after the question mark.")
        if name in options:
            raise Misuse(f"{shown} has the option {name!r} twice: keep one.")
        options[name] = _decode(value, f"{shown}, option {name!r},")
    return options


def _decode(text: str, shown: str) -> str:
    if _ESCAPE.search(text):
        raise Misuse(f"{shown} holds a % that begins no escape: write %25 for a percent sign.")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeError as problem:
        raise Misuse(f"{shown} holds what is no UTF-8: {problem}.") from problem
    hidden = next((c for c in decoded if unicodedata.category(c) == "Cc"), None)
    if hidden is not None:
        raise Misuse(f"{shown} holds the control character {hidden!r}: remove it.")
    return decoded
