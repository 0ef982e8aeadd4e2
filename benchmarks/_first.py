"""What somebody's first program does, in one process and an empty folder: `_first.py URL` prints the result."""

import asyncio
import sys

import perdure


@perdure.activity
async def step(data: str) -> str:
    """Do nothing."""
    return data


@perdure.orchestration
async def first(data: str) -> str:
    """Run one step."""
    return await step(data)


async def main(url: str) -> None:
    """Open a hub, run a workflow, print its result."""
    async with perdure.connect(url) as hub, hub.worker(first, step):
        run = await hub.start(first("done"), id="first")
        print(await run.result(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
