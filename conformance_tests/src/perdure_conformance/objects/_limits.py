"""Names and sizes at their limits, and one past them."""

from __future__ import annotations

import pytest

from perdure.spi import Absent, Misuse
from perdure_conformance.harness import at_limit
from perdure_conformance.objects._harness import ObjectsClauses, ObjectsHarness, listed, put, read

__all__ = ["ObjectLimitClauses"]

LONG = {
    "one part of 255": "a" * 255,
    "900 in parts of 255": "/".join(["a" * 255, "b" * 255, "c" * 255, "d" * 132]),
    "100 parts of one": "/".join("a" * 100),
    "dots and dashes": ".a/a./.../-/_/a..b",
}
NO_NAMES = {
    "empty": "",
    "slash": "/",
    "slash at the end": "a/",
    "slash in front": "/a",
    "two slashes": "a//b",
    "up": "..",
    "up in the middle": "a/../b",
    "here": "./a",
    "here at the end": "a/.",
    "upper case": "A",
    "umlaut": "\u00e4",
    "space": "a b",
    "line end": "a\n",
    "backslash": "a\\b",
    "percent": "a%2fb",
    "901 in parts of 255": "/".join(["a" * 255, "b" * 255, "c" * 255, "d" * 133]),
    "one part of 256": "a" * 256,
}


class ObjectLimitClauses(ObjectsClauses):
    """What is just allowed, and what is just not."""

    @pytest.mark.parametrize("name", LONG.values(), ids=LONG.keys())
    async def test_o1_a_name_at_the_limit_is_a_name(self, harness: ObjectsHarness, name: str) -> None:
        """Long ids, and a prefix that the operator chose in front of them."""
        objects = await harness.open_objects()

        await put(objects, b"long", name)

        assert (await read(await harness.open_objects(), name)).data == b"long"
        assert await listed(objects) == [name]
        await objects.delete([name])
        assert await objects.get(name) == Absent()

    @pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
    async def test_o1_what_is_no_name_is_refused(self, harness: ObjectsHarness, name: str) -> None:
        """Before anything is sent: names lead nowhere outside the hub."""
        objects = await harness.open_objects()

        with pytest.raises(Misuse):
            await objects.put(name, b"x")
        with pytest.raises(Misuse):
            await objects.get(name)
        with pytest.raises(Misuse):
            await objects.delete([name])
        assert await listed(objects) == []

    async def test_o1_an_object_at_the_limit_is_kept(self, harness: ObjectsHarness) -> None:
        """Declared, so it works."""
        objects = await harness.open_objects()
        data = b"x" * at_limit(objects.capabilities.object_bytes_max, "object_bytes_max")

        await put(objects, data)

        assert (await read(objects)).data == data

    async def test_o1_an_object_above_the_limit_is_refused_by_the_name_of_the_limit(
        self, harness: ObjectsHarness
    ) -> None:
        """Whoever meets it must know what to make smaller. What was there stays."""
        objects = await harness.open_objects()
        most = at_limit(objects.capabilities.object_bytes_max, "object_bytes_max")
        await put(objects, b"there")

        with pytest.raises(Misuse, match=f"object_bytes_max.*{most}"):
            await objects.put("h/ab/order-1/head", b"x" * (most + 1))

        assert (await read(objects)).data == b"there"
