"""The queue's first layer alone: keys fold, come in order, and a taken one waits for its release."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tripswitch.shell.folding_queue import MOST_IN_A_ROW, FoldingQueue, Taken

pytestmark = pytest.mark.looptime


async def take(queue: FoldingQueue[str]) -> str | None:
    """Return the key that is given out next; fail if there is none."""
    async with asyncio.timeout(0.001):
        taken = await queue.take()
    return None if taken is None else taken.key


async def test_marks_of_one_key_are_one_and_the_first_one_tells_since_when() -> None:
    queue: FoldingQueue[str] = FoldingQueue()
    queue.mark("web")
    await asyncio.sleep(3)
    queue.mark("web")
    assert len(queue) == 1
    assert await queue.take() == Taken("web", since=0)
    assert len(queue) == 0


async def test_keys_come_in_the_order_of_their_first_marks() -> None:
    queue: FoldingQueue[str] = FoldingQueue()
    for key in ("b", "a", "b", "c"):
        queue.mark(key)
    assert [await take(queue) for _ in range(3)] == ["b", "a", "c"]


async def test_a_taken_key_is_given_out_again_only_after_its_release() -> None:
    queue: FoldingQueue[str] = FoldingQueue()
    queue.mark("web")
    await queue.take()
    queue.mark("web")
    queue.mark("web")
    assert (len(queue), queue.is_taken("web")) == (1, True)
    with pytest.raises(TimeoutError):
        await take(queue)
    queue.release("web")
    assert await take(queue) == "web"
    with pytest.raises(TimeoutError):
        await take(queue)


async def test_a_released_key_without_a_mark_is_not_given_out() -> None:
    queue: FoldingQueue[str] = FoldingQueue()
    queue.mark("web")
    await queue.take()
    queue.release("web")
    assert not queue.is_taken("web")
    with pytest.raises(TimeoutError):
        await take(queue)


async def test_a_key_that_is_not_taken_cannot_be_released() -> None:
    queue: FoldingQueue[str] = FoldingQueue()
    queue.mark("web")
    with pytest.raises(KeyError):
        queue.release("web")


async def test_each_end_ends_one_take() -> None:
    queue: FoldingQueue[str] = FoldingQueue()
    queue.mark("web")
    queue.end()
    assert [await take(queue), await take(queue)] == ["web", None]


async def test_urgent_keys_come_before_others_in_their_own_order() -> None:
    queue: FoldingQueue[str] = FoldingQueue(str.isupper)
    for key in ("a", "B", "c", "D"):
        queue.mark(key)
    assert [await take(queue) for _ in range(4)] == ["B", "D", "a", "c"]


async def test_a_waiting_key_that_becomes_urgent_is_given_out_once_and_first() -> None:
    urgent: set[str] = set()
    queue: FoldingQueue[str] = FoldingQueue(urgent.__contains__)
    for key in ("a", "b", "c"):
        queue.mark(key)
    urgent.add("c")
    queue.mark("c")
    queue.mark("c")
    assert len(queue) == 3
    assert [await take(queue) for _ in range(3)] == ["c", "a", "b"]
    with pytest.raises(TimeoutError):
        await take(queue)


async def test_a_key_that_became_urgent_while_it_was_taken_comes_first_after_its_release() -> None:
    urgent: set[str] = set()
    queue: FoldingQueue[str] = FoldingQueue(urgent.__contains__)
    queue.mark("web")
    await queue.take()
    queue.mark("web")
    queue.mark("other")
    urgent.add("web")
    queue.release("web")
    assert [await take(queue), await take(queue)] == ["web", "other"]


async def test_urgent_keys_do_not_keep_another_one_waiting_for_ever() -> None:
    queue: FoldingQueue[str] = FoldingQueue(str.isupper)
    queue.mark("patient")
    given = []
    for _ in range(MOST_IN_A_ROW + 2):
        queue.mark("URGENT")
        given.append(await take(queue))
        if given[-1] == "URGENT":
            queue.release("URGENT")
    assert given == ["URGENT"] * MOST_IN_A_ROW + ["patient", "URGENT"]


@pytest.mark.parametrize("seed", range(20))
async def test_any_order_of_calls_gives_out_what_a_model_of_two_lists_gives_out(seed: int) -> None:
    """The model: a list of marked keys in the order of their turns, and a list of taken ones."""
    rng, queue = Random(seed), FoldingQueue[str]()
    turns: list[str] = []
    late: list[str] = []
    taken: list[str] = []
    for _ in range(200):
        key = rng.choice("abcd")
        what = rng.choice(["mark", "mark", "take", "release"])
        if what == "mark":
            queue.mark(key)
            if key not in turns + late:
                (late if key in taken else turns).append(key)
        elif what == "take" and turns:
            assert await take(queue) == turns[0]
            taken.append(turns.pop(0))
        elif what == "release" and key in taken:
            queue.release(key)
            taken.remove(key)
            if key in late:
                late.remove(key)
                turns.append(key)
        assert len(queue) == len(turns) + len(late)
        assert [one for one in "abcd" if queue.is_taken(one)] == sorted(taken)
