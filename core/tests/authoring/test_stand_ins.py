"""Clock, randomness, log and place outside an orchestration; inside see `test_in_orchestration`."""

from __future__ import annotations

import contextvars
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from perdure.authoring import (
    ActivityInfo,
    Current,
    _activity_info_var,
    activity_info,
    current,
    logger,
    now,
    rng,
    uuid4,
)
from perdure.errors import Misuse, NotInOrchestration

if TYPE_CHECKING:
    from collections.abc import Iterator

INFO = ActivityInfo(
    name="charge",
    instance_id="order-1",
    execution=2,
    attempt=3,
    deadline=datetime(2030, 1, 1, tzinfo=UTC),
    idempotency_key="one/2/5",
)


@pytest.fixture
def in_activity() -> Iterator[None]:
    """What a worker does around a run."""
    token = _activity_info_var.set(INFO)
    yield
    _activity_info_var.reset(token)


def test_outside_now_is_the_real_time_in_utc() -> None:
    before = datetime.now(UTC)

    assert before <= now() <= before + timedelta(minutes=5)
    assert now().tzinfo is UTC


def test_outside_uuids_are_random() -> None:
    assert uuid4().version == 4
    assert uuid4() != uuid4()


def test_outside_rng_is_one_generator() -> None:
    assert rng() is rng()
    assert rng().random() != rng().random()


def test_outside_current_is_refused() -> None:
    with pytest.raises(NotInOrchestration, match="no orchestration and no activity runs"):
        current()


def test_outside_activity_info_is_refused() -> None:
    with pytest.raises(Misuse, match="no activity runs"):
        activity_info()


@pytest.mark.usefixtures("in_activity")
def test_in_an_activity_its_info_is_what_the_worker_set() -> None:
    assert activity_info() is INFO


@pytest.mark.usefixtures("in_activity")
def test_in_an_activity_current_is_that_of_the_activity() -> None:
    assert current() == Current(name="charge", instance_id="order-1", execution=2, attempt=3, is_replaying=False)


@pytest.mark.usefixtures("in_activity")
def test_a_context_that_is_copied_knows_the_activity_and_an_empty_one_does_not() -> None:
    assert contextvars.copy_context().run(activity_info) is INFO
    with pytest.raises(Misuse):
        contextvars.Context().run(activity_info)


def test_outside_the_log_speaks(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="perdure.app"):
        logger.info("hello %s", "you")

    assert [record.getMessage() for record in caplog.records] == ["hello you"]
    assert caplog.records[0].funcName == "test_outside_the_log_speaks"


@pytest.mark.usefixtures("in_activity")
def test_in_an_activity_the_log_says_for_which_instance_and_keeps_the_users_extras(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="perdure.app"):
        logger.info("hello", extra={"order": 5, "attempt": "mine"})

    said = vars(caplog.records[0])
    assert (said["instance_id"], said["execution"], said["order"], said["attempt"]) == ("order-1", 2, 5, "mine")


def test_a_level_that_is_off_stays_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="perdure.app"):
        logger.info("hello")

    assert caplog.records == []
    assert not logger.isEnabledFor(logging.INFO)
