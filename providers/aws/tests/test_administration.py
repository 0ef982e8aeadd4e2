"""Buckets and queues are made as they must be, once; what is wrong with them is found."""

from __future__ import annotations

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from _aws_harnesses import REGION, location_of

from perdure.spi import Environment, Misuse, QueueName, SystemClock, SystemEntropy
from perdure_aws import S3Administration, SqsAdministration
from perdure_aws._settings import read_place
from perdure_aws.sqs._names import queue_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.spi import Administration, Finding, Measure

QUEUES = [QueueName("turns:default"), QueueName("tasks:mail")]


@pytest.fixture
def bucket() -> str:
    return f"perdure-{secrets.token_hex(8)}"


@pytest.fixture
def s3(endpoint: str) -> Iterator[Any]:
    client: Any = boto3.session.Session().client("s3", region_name=REGION, endpoint_url=endpoint)
    yield client
    client.close()


@pytest.fixture
def sqs(endpoint: str) -> Iterator[Any]:
    client: Any = boto3.session.Session().client("sqs", region_name=REGION, endpoint_url=endpoint)
    yield client
    client.close()


def of_store(endpoint: str, bucket: str) -> Administration:
    return S3Administration(location_of(endpoint, "shop", bucket=bucket), Environment(SystemClock(), SystemEntropy()))


def of_queue(endpoint: str, bucket: str) -> Administration:
    location = location_of(endpoint, "shop", scheme="sqs", bucket=bucket)
    return SqsAdministration(location, Environment(SystemClock(), SystemEntropy()))


async def provided(administration: Administration, *, dry_run: bool = False) -> list[Measure]:
    return [measure async for measure in administration.provision(QUEUES, dry_run=dry_run)]


async def found_ill(administration: Administration) -> list[Finding]:
    return [finding async for finding in administration.examine(QUEUES) if not finding.is_well]


async def test_a_bucket_is_made_once_and_public_access_is_blocked(endpoint: str, bucket: str, s3: Any) -> None:
    administration = of_store(endpoint, bucket)
    assert [bool(each.change) for each in await provided(administration, dry_run=True)] == [True]
    assert [each.detail for each in await found_ill(administration)] == ["is not there"]
    assert [bool(each.change) for each in await provided(administration)] == [True]
    assert [bool(each.change) for each in await provided(administration)] == [False]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert await found_ill(administration) == []
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    await administration.aclose()


@pytest.mark.parametrize(("prefix", "ill"), [("", 1), ("shop/", 1), ("shop/h/", 1), ("other/", 0)])
async def test_a_rule_that_would_delete_histories_is_found(
    endpoint: str, bucket: str, s3: Any, prefix: str, ill: int
) -> None:
    administration = of_store(endpoint, bucket)
    await provided(administration)
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    found = await found_ill(administration)
    assert [each.subject for each in found] == ["lifecycle rules"] * ill
    await administration.aclose()


async def test_queues_are_made_once_and_wrong_attributes_are_brought_right(
    endpoint: str, bucket: str, sqs: Any
) -> None:
    administration = of_queue(endpoint, bucket)
    assert all(each.change for each in await provided(administration, dry_run=True))
    assert [each.detail for each in await found_ill(administration)] == ["is not there"] * 4
    assert [bool(each.change) for each in await provided(administration)] == [True] * 4
    assert [bool(each.change) for each in await provided(administration)] == [False] * 4
    assert await found_ill(administration) == []

    place = read_place(location_of(endpoint, "shop", scheme="sqs", bucket=bucket))
    url = sqs.get_queue_url(QueueName=queue_names(place, QUEUES[0]).main)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
    assert [each.detail for each in await found_ill(administration)] == ["MessageRetentionPeriod=60"]
    changes = [each.change for each in await provided(administration) if each.change]
    assert changes == ["set MessageRetentionPeriod"]
    assert await found_ill(administration) == []
    await administration.aclose()


@pytest.mark.parametrize("make", [of_store, of_queue])
def test_policies_are_json_and_name_only_this_hub(make: Any) -> None:
    policies = make("http://127.0.0.1:1", "bucket").policies(QUEUES)
    assert set(policies) == {"worker", "client", "sweeper"}
    for policy in policies.values():
        for statement in json.loads(policy)["Statement"]:
            assert "bucket" in statement["Resource"]
            assert "*" not in statement["Action"]


async def test_a_service_that_refuses_the_name_says_so(endpoint: str) -> None:
    with pytest.raises(Misuse, match="no name of a bucket"):
        of_store(endpoint, "NoBucket")


class Refusing(BaseHTTPRequestHandler):
    """Plays S3 where listing is allowed and nothing else."""

    def do_GET(self) -> None:
        allowed = "list-type" in self.path
        told = b"<ListBucketResult/>" if allowed else b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_PUT = do_POST = do_GET  # noqa: N815 - likewise

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("credentials")
async def test_each_right_that_is_missing_is_a_finding_that_names_the_action(refusing: str) -> None:
    administration = of_store(refusing, "bucket")
    found = await found_ill(administration)
    assert {each.subject for each in found} == {"right s3:GetObject", "right s3:PutObject", "right s3:DeleteObject"}
    for each in found:
        assert each.mend == f"Allow {each.subject.removeprefix('right ')} on arn:aws:s3:::bucket/shop/*."
    await administration.aclose()
