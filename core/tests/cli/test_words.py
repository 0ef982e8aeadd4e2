"""Durations, sizes and foreign text in a terminal."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest

from perdure.cli._words import clock_time, date_time, duration, fit, length, printable, size, wrap


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (0.0123, "12ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (1.234, "1.2s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (192, "3m12s"),
        (3_599.6, "1h00m"),
        (7_500, "2h05m"),
        (86_400 * 14 + 6 * 3_600, "14d06h"),
        (86_400 * 3_650, "3650d"),
    ],
)
def test_a_duration_takes_few_characters(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1 KiB"),
        (262_144, "256 KiB"),
        (64 << 20, "64 MiB"),
        (1 << 50, "1,024 TiB"),
    ],
)
def test_a_size_has_a_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_what_moves_a_cursor_is_escaped() -> None:
    """Instance ids, messages of exceptions and payloads come from anywhere."""
    assert printable("a\x1b[2Jb\nc\u202ed é🦉") == "a\\x1b[2Jb\\nc\\u202ed é🦉"


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [("ab", 4, "ab  "), ("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("🦉🦉🦉", 4, "🦉 …"), ("a\n", 4, "a\\n ")],
)
def test_a_text_is_made_as_wide_as_it_should_be(text: str, width: int, fitted: str) -> None:
    assert fit(text, width) == fitted
    assert length(fit(text, width)) == width


def test_a_long_value_is_broken_and_then_cut() -> None:
    assert wrap("abcdefgh", 3, 3) == ["abc", "def", "gh"]
    assert wrap("abcdefghijk", 3, 3) == ["abc", "def", "gh…"]
    assert wrap("", 3, 3) == [""]
    assert wrap("🦉🦉🦉", 3, 3) == ["🦉", "🦉", "🦉"]


def test_moments_are_written_in_a_zone() -> None:
    assert date_time(1_700_000_000, UTC) == "2023-11-14 22:13:20"
    assert date_time(1_700_000_000, timezone(timedelta(hours=2))) == "2023-11-15 00:13:20"
    assert clock_time(1_700_000_000.0625, UTC) == "22:13:20.062"
