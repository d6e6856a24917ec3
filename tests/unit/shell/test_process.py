"""The operator's process ends in order."""

from __future__ import annotations

import asyncio

from tripswitch.shell.process import cancel_all


async def test_what_runs_for_ever_has_ended_before_its_connections_are_closed() -> None:
    """A task that goes on with closed connections says so for each request that it had still to make."""
    told: list[str] = []
    is_open = True

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # ends its own tasks first
            told.append(f"{name}: {'in order' if is_open else 'connection is closed'}")

    tasks = [asyncio.create_task(work(name)) for name in ("evidence", "alarms")]
    await asyncio.sleep(0)
    await cancel_all(tasks)
    is_open = False
    await asyncio.sleep(0)
    assert sorted(told) == ["alarms: in order", "evidence: in order"]
    assert all(task.done() for task in tasks)
