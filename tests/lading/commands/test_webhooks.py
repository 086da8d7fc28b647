"""`lading webhooks` against a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lading.commands.conftest import Shell
from tests.support.receivers import Receiver, receiving, status
from tests.support.servers import process


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """It runs in a thread of its own, since commands run a loop of theirs in this one."""
    loop, ready, found = asyncio.new_event_loop(), threading.Event(), list[Receiver]()

    async def run() -> None:
        async with receiving() as receiver:
            found.append(receiver)
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture
def site(shell: Shell, mongod: str, tmp_path: Path) -> Iterator[Shell]:
    """A server that sends webhooks to the loopback."""
    url = mongod.replace("/?", "/commands-webhooks?")
    with process(tmp_path / "site", url, webhook_private=True) as running:
        changes = {"LADING_URL": running.url, "LADING_TOKEN": running.token}
        yield replace(shell, environ={**shell.environ, **changes})


def test_webhooks_are_added_tried_listed_and_removed(site: Shell, receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.port}/hook"
    (line,) = site.lines("webhooks", "add", url, "--event", "file.ready", "--event", "file.derived")
    webhook_id, secret = line.split()
    assert secret.startswith("whsec_")
    enabled = [f"{webhook_id}\tenabled\tfile.ready,file.derived\t{url}\t"]
    assert site.lines("webhooks") == site.lines("webhooks", "list") == enabled
    (tried,) = site.events("webhooks", "test", webhook_id)
    assert (tried["event"], tried["state"]) == ("webhook.test", "delivered")
    assert [each.event for each in receiver.got] == ["webhook.test"]
    receiver.answer = lambda _got: status(503)
    failed = site.run("webhooks", "test", webhook_id)
    assert failed.exit_code == 1
    assert failed.stdout.endswith("\tThe answer has the status 503.\n")
    assert len(site.lines("webhooks", "log", webhook_id)) == 2
    assert len(site.lines("webhooks", "log", webhook_id, "--limit", "1")) == 1
    assert site.events("webhooks", "log", webhook_id, "--state", "delivered") == [tried]
    (line,) = site.lines("webhooks", "disable", webhook_id)
    assert line.split("\t")[1::3] == ["disabled", "An admin disabled it."]
    assert site.lines("webhooks", "enable", webhook_id) == enabled
    assert site.lines("webhooks", "rm", webhook_id) == [webhook_id]
    assert site.lines("webhooks") == []


def test_what_is_wrong_is_said(shell: Shell) -> None:
    refused = shell.run("webhooks", "add", "https://127.0.0.1/", "--event", "file.ready")
    assert refused.exit_code == 2
    assert "not public" in refused.stderr
    assert shell.run("webhooks", "add", "https://example.org/").exit_code == 2
    unknown = shell.run("webhooks", "add", "https://example.org/", "--event", "file.read")
    assert unknown.exit_code == 2
    gone = shell.run("webhooks", "rm", "0" * 24)
    assert "There is no such webhook." in gone.stderr
