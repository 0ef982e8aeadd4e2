"""What a URL may say, and what it is told when it says something else."""

from __future__ import annotations

import pytest

from perdure.config import parse_location
from perdure.hub import find_queue, find_store, natural_queue
from perdure.spi import Misuse
from perdure_aws import S3Store, SqsQueue
from perdure_aws._settings import AwsSettings, Place, read_place, read_settings


def test_a_url_says_where_and_how() -> None:
    location = parse_location("s3://orders/eu/live/?region=eu-central-1&endpoint=http://localhost:9000/&threads=4")

    assert read_place(location) == Place("orders", "eu/live")
    assert read_settings(location) == AwsSettings("eu-central-1", "http://localhost:9000", threads=4)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("s3://orders?regoin=eu-central-1", "did you mean 'region'"),
        ("s3://orders?region=Frankfurt!", "region=eu-central-1"),
        ("s3://orders?endpoint=localhost:9000", "endpoint=http://localhost:9000"),
        ("s3://orders?endpoint=http://localhost:99999", "endpoint=http://localhost:9000"),
        ("s3://orders?threads=0", "above 0 and at most 256"),
        ("s3://orders?threads=1.5", "whole number"),
        ("s3://orders?read_timeout_seconds=nan", "above 0 and at most 300"),
        ("s3://orders?connect_timeout_seconds=soon", "above 0 and at most 300"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_the_mend(url: str, mend: str) -> None:
    with pytest.raises(Misuse, match=mend):
        read_settings(parse_location(url))


@pytest.mark.parametrize("path", ["", "ab", "Orders", "10.0.0.1", "a..b", "orders/../x", "orders//x", "orders/a b"])
def test_a_place_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(Misuse, match=r"no name of a bucket|no prefix"):
        read_place(parse_location(f"s3://{path}"))


def test_the_queues_of_a_bucket_are_at_the_same_place() -> None:
    url = "s3://orders/eu?region=eu-central-1"

    assert natural_queue(parse_location(url), url) == "sqs://orders/eu?region=eu-central-1"
    assert find_store(parse_location(url)) is S3Store
    assert find_queue(parse_location("sqs://orders")) is SqsQueue
