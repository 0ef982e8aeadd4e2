"""O5: a list is complete, in order, and without repeats, also while names come and go."""

from __future__ import annotations

import asyncio

import pytest

from perdure_conformance.objects._harness import ObjectsClauses, ObjectsHarness, listed, put

__all__ = ["ListClauses"]

NAMES = ["h-/b", "h.a", "h/a-/b", "h/a.b", "h/a/b/c/1", "h/a/b/head", "h/a0", "h/ab/x", "h0", "h_", "p/x"]
PREFIXES = [
    "",
    "h",
    "h/",
    "h/a",
    "h/a/",
    "h/a/b",
    "h/a/b/",
    "h/a/b/head",
    "h/a/b/head/",
    "p",
    "q/",
    "h/a*",
    "[h]",
    "H",
    "../h",
    "/",
]


class ListClauses(ObjectsClauses):
    """Listing names."""

    @pytest.mark.parametrize("prefix", PREFIXES)
    async def test_o5_a_list_has_every_name_that_begins_so(self, harness: ObjectsHarness, prefix: str) -> None:
        """A prefix is text: no folder, no pattern, no way up."""
        objects = await harness.open_objects()
        for name in reversed(NAMES):
            await put(objects, b"x", name)

        assert await listed(await harness.open_objects(), prefix) == [name for name in NAMES if name.startswith(prefix)]

    async def test_o5_a_list_begins_above_the_name_it_is_told(self, harness: ObjectsHarness) -> None:
        """Whether or not that name is there, and whatever it is."""
        objects = await harness.open_objects()
        for name in NAMES:
            await put(objects, b"x", name)

        for after in [*NAMES, "a", "h/", "h/a/b", "h/a/zzz", "z"]:
            assert await listed(objects, "", after) == [name for name in NAMES if name > after]
            expected = [name for name in NAMES if name.startswith("h/a") and name > after]
            assert await listed(objects, "h/a", after) == expected

    async def test_o5_names_come_in_the_order_of_their_bytes_over_all_pages(self, harness: ObjectsHarness) -> None:
        """More than any page of any service holds."""
        objects = await harness.open_objects()
        names = sorted(f"h/{number % 7}/{number}" for number in range(2100))
        for start in range(0, len(names), 50):
            await asyncio.gather(*(put(objects, b"x", name) for name in names[start : start + 50]))

        assert await listed(objects, "h/") == names
        assert await listed(objects, "h/", names[999]) == names[1000:]

    async def test_o5_who_was_there_all_the_time_is_listed_once_while_others_come_and_go(
        self, harness: ObjectsHarness
    ) -> None:
        """Scans run while the hub works."""
        objects, writer = await harness.open_objects(), await harness.open_objects()
        names = [f"h/{number:03}" for number in range(300)]
        for start in range(0, len(names), 50):
            await asyncio.gather(*(put(objects, b"x", name) for name in names[start : start + 50]))
        found: list[str] = []
        gone: set[str] = set()

        async for name in objects.list("h/"):
            found.append(name)
            if len(found) % 20 == 0:
                number = len(found)
                victim = names[(number * 7) % 300]
                gone.add(victim)
                await writer.delete([victim])
                await put(writer, b"x", f"h/{number:03}-new")
                await put(writer, b"changed", names[(number * 3 + 1) % 300])

        changed_only = [name for name in names if name not in gone]
        listed_of_them = [name for name in found if name in set(changed_only)]
        assert listed_of_them == [name for name in changed_only if name in set(listed_of_them)]
        assert set(changed_only) - set(found) == set()
        assert found == sorted(set(found))

    async def test_o5_a_list_may_be_left_early(self, harness: ObjectsHarness) -> None:
        """The caller has seen enough; the client goes on working."""
        objects = await harness.open_objects()
        for name in NAMES:
            await put(objects, b"x", name)

        names = objects.list("")
        assert await anext(names) == NAMES[0]

        assert await listed(objects) == NAMES
        await put(objects, b"y", NAMES[0])

    async def test_o5_two_lists_at_once_do_not_disturb_each_other(self, harness: ObjectsHarness) -> None:
        """Two scans share one client."""
        objects = await harness.open_objects()
        for name in NAMES:
            await put(objects, b"x", name)

        one, two = await asyncio.gather(listed(objects), listed(objects, "h/"))

        assert one == NAMES
        assert two == [name for name in NAMES if name.startswith("h/")]
