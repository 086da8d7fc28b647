"""Grown windows share what the budget can hold."""

from __future__ import annotations

from lading.server.net.windows import Windows


def test_connection_alone_may_have_all() -> None:
    windows = Windows(48)
    assert windows.most("a") == 48
    windows.note("a", grown=True)
    assert windows.most("a") == 48


def test_grown_windows_share_equally_and_never_exceed_the_total() -> None:
    windows = Windows(48)
    for name in "abc":
        windows.note(name, grown=True)
    assert [windows.most(name) for name in "abcd"] == [16, 16, 16, 12]


def test_share_of_one_that_is_small_again_goes_to_the_others() -> None:
    windows = Windows(48)
    windows.note("a", grown=True)
    windows.note("b", grown=True)
    windows.note("b", grown=False)
    windows.note("b", grown=False)
    assert windows.most("a") == 48
