"""Hub URLs: what is one, what is in one, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.config import parse_location
from perdure.config._location import anchor
from perdure.spi import Misuse

HOME = Path("/srv/app")


@pytest.mark.parametrize(
    ("url", "scheme", "path", "options"),
    [
        ("sqlite:.perdure", "sqlite", ".perdure", {}),
        ("memory:", "memory", "", {}),
        ("SQLite:/var/hub", "sqlite", "/var/hub", {}),
        ("sqlite:///var/hub", "sqlite", "/var/hub", {}),
        ("s3://bucket/pre/fix?region=eu-central-1", "s3", "bucket/pre/fix", {"region": "eu-central-1"}),
        ("s3://b?endpoint=http://127.0.0.1:9000&x=", "s3", "b", {"endpoint": "http://127.0.0.1:9000", "x": ""}),
        ("servicebus://127.0.0.1:5672/", "servicebus", "127.0.0.1:5672/", {}),
        ("file:a%20b%3Fc d#e@f:g", "file", "a b?c d#e@f:g", {}),
        ("file:größe/%F0%9F%A6%89", "file", "größe/🦉", {}),
        ("file:x?a%3Db=c%26d&e=f=g", "file", "x", {"a=b": "c&d", "e": "f=g"}),
    ],
)
def test_a_url_is_scheme_path_and_options(url: str, scheme: str, path: str, options: dict[str, str]) -> None:
    location = parse_location(url)

    assert (location.url, location.scheme, location.path, dict(location.options)) == (url, scheme, path, options)


@pytest.mark.parametrize("url", ["", ".perdure", "/var/hub", "C:\\hub", ":x", "1a:x", " sqlite:x", "sq lite:x"])
def test_what_has_no_scheme_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(Misuse, match=r"has no scheme: write scheme:path, for example sqlite:\.perdure") as refused:
        parse_location(url)

    assert repr(url) in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://hunter2@bucket",
        "s3://user:hunter2@bucket/prefix",
        "s3://user:hun/ter2@bucket",
        "servicebus:user:hunter2@namespace",
        "s3://bucket?secret_access_key=hunter2",
        "s3://bucket?region=x&Password=hunter2",
        "azblob://a/c?sig=hunter2",
        "servicebus://n?SharedAccessKey=hunter2",
        "s3://bucket?session-token=hunter2",
        "s3://bucket?passw%6Frd=hunter2",
    ],
)
def test_a_secret_is_refused_and_not_repeated(url: str) -> None:
    """A URL ends in logs, shells' histories and error messages."""
    with pytest.raises(Misuse, match="credentials") as refused:
        parse_location(url)

    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["file:/home/me@work/hub", "file:a@b", "s3://bucket/a@b", "s3://h:9000/a@b"])
def test_an_at_sign_in_a_path_is_no_user(url: str) -> None:
    assert parse_location(url).path.endswith(("hub", "b"))


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file:100%", "write %25"),
        ("file:%zz", "write %25"),
        ("file:%ff", "no UTF-8"),
        ("file:\udc80", "no UTF-8"),
        ("file:a%00b", "control character"),
        ("sqlite:x\n", "control character"),
        ("file:x?a=%0A", "option 'a', holds the control character"),
        ("file:x?novalue", "the option 'novalue': write name=value"),
        ("file:x?=1", "the option '=1': write name=value"),
        ("file:x?a=1&&b=2", "the option '': write name=value"),
        ("file:x?a=1&a=2", "the option 'a' twice"),
    ],
)
def test_what_is_malformed_is_refused_with_the_mend(url: str, complaint: str) -> None:
    with pytest.raises(Misuse, match=complaint):
        parse_location(url)


def test_options_cannot_be_changed() -> None:
    options = parse_location("file:x?a=1").options

    with pytest.raises(TypeError):
        options["a"] = "2"  # type: ignore[index]


@pytest.mark.parametrize(
    ("url", "anchored"),
    [
        ("sqlite:.perdure", "sqlite:/srv/app/.perdure"),
        ("sqlite:hub?a=b/c", "sqlite:/srv/app/hub?a=b/c"),
        ("sqlite:/var/hub", "sqlite:/var/hub"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("memory:", "memory:"),
        ("memory:name", "memory:name"),
    ],
)
def test_a_relative_path_is_relative_to_a_folder(url: str, anchored: str) -> None:
    assert anchor(url, HOME) == anchored


def test_a_path_survives_being_made_absolute_whatever_it_holds() -> None:
    folder = Path("/srv/50% off?/é #1")

    anchored = anchor("sqlite:h%25u%3Fb#?a=1", folder)

    location = parse_location(anchored)
    assert location.path == "/srv/50% off?/é #1/h%u?b#"
    assert dict(location.options) == {"a": "1"}


def test_a_tilde_is_the_users_home() -> None:
    """The shell expands it only at the beginning of a word; a folder called ~ is never what was meant."""
    assert anchor("sqlite:~/hub", HOME) == f"sqlite:{Path.home() / 'hub'}"
