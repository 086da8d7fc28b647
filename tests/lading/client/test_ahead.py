"""Work that begins before its result is wanted."""

import asyncio

import pytest

from lading.client.ahead import Ahead


class Work:
    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.ended = False
        self.go = asyncio.Event()
        self.error = error

    async def __call__(self) -> int:
        self.begun = True
        try:
            await self.go.wait()
            if self.error is not None:
                raise self.error
            return 7
        finally:
            self.ended = True


@pytest.mark.parametrize("early", [True, False])
async def test_its_result_is_that_of_the_work(early: bool) -> None:
    work = Work()
    work.go.set()
    async with Ahead(work(), early=early) as ahead:
        await asyncio.sleep(0)
        assert work.begun is early
        assert await ahead.result() == 7


@pytest.mark.parametrize("early", [True, False])
async def test_an_error_is_raised_where_the_result_is_wanted(early: bool) -> None:
    work = Work(KeyError("no"))
    work.go.set()
    with pytest.raises(KeyError):
        async with Ahead(work(), early=early) as ahead:
            await ahead.result()


@pytest.mark.parametrize("error", [None, KeyError("no")])
async def test_what_nobody_wanted_is_ended_and_its_error_forgotten(error: Exception | None) -> None:
    work = Work(error)
    async with Ahead(work()):
        await asyncio.sleep(0)
        if error is not None:
            work.go.set()
    assert work.ended


async def test_work_that_was_not_begun_leaves_nothing_behind() -> None:
    work = Work()
    async with Ahead(work(), early=False):
        pass
    assert not work.begun
