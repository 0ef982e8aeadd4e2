"""The configuration of Microsoft's emulator: what is read, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from perdure_servicebus_emulator import ConfigError, Queue, read_config

if TYPE_CHECKING:
    from pathlib import Path


def config(tmp_path: Path, *queues: dict[str, Any], **namespace: Any) -> Path:
    """Write a configuration with these queues."""
    file = tmp_path / "config.json"
    whole = {"UserConfig": {"Namespaces": [{"Name": "n", "Queues": list(queues), **namespace}], "Logging": {}}}
    file.write_text(json.dumps(whole), "utf-8")
    return file


def test_every_property_is_read(tmp_path: Path) -> None:
    properties = {
        "LockDuration": "PT1M30S",
        "MaxDeliveryCount": 3,
        "DefaultMessageTimeToLive": "P1DT2H",
        "DeadLetteringOnMessageExpiration": True,
        "RequiresSession": True,
        "RequiresDuplicateDetection": True,
        "DuplicateDetectionHistoryTimeWindow": "PT20S",
        "MaxSizeInMegabytes": 5,
        "ForwardTo": "",
    }

    queues = read_config(config(tmp_path, {"Name": "orders", "Properties": properties}, {"Name": "plain"}))

    assert queues == [
        Queue(
            "orders",
            lock_seconds=90,
            deliveries_max=3,
            ttl_seconds=93_600,
            dead_letter_on_expiration=True,
            requires_session=True,
            duplicate_window_seconds=20,
            size_bytes_max=5 * 2**20,
        ),
        Queue("plain"),
    ]


def test_a_window_alone_detects_nothing(tmp_path: Path) -> None:
    properties = {"RequiresDuplicateDetection": False, "DuplicateDetectionHistoryTimeWindow": "PT20S"}

    assert read_config(config(tmp_path, {"Name": "q", "Properties": properties})) == [Queue("q")]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        pytest.param({"LockDuration": "PT6M"}, "lock_seconds must be more than 0, at most 300", id="too long"),
        pytest.param({"LockDuration": "1 minute"}, "LockDuration of queue 'q': must be a duration", id="no duration"),
        pytest.param({"LockDuration": "P"}, "LockDuration of queue 'q': must be a duration", id="an empty duration"),
        pytest.param({"MaxDeliveryCount": "10"}, "MaxDeliveryCount of queue 'q': must be a whole number", id="text"),
        pytest.param({"RequiresSession": 1}, "RequiresSession of queue 'q': must be true or false", id="no flag"),
        pytest.param({"ForwardTo": "x"}, "ForwardTo of queue 'q': messages are not forwarded here", id="forwarding"),
        pytest.param({"LockDurations": "PT1M"}, "LockDurations of queue 'q': not known here", id="a slip of the pen"),
    ],
)
def test_what_is_not_imitated_is_refused_by_its_name(tmp_path: Path, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(config(tmp_path, {"Name": "q", "Properties": properties}))


def test_topics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="queues only"):
        read_config(config(tmp_path, Topics=[{"Name": "t"}]))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"UserConfig": {"Namespaces": []}}', '{"UserConfig": 1}'])
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text, "utf-8")

    with pytest.raises(ConfigError):
        read_config(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json"):
        read_config(tmp_path / "nowhere.json")
