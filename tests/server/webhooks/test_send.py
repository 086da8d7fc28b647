"""One request to a webhook: pinned, verified, bounded, and never further."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from lading.server.limits import WebhookLimits
from lading.server.webhooks.send import Sender
from tests.support.network import certificate
from tests.support.receivers import Got, receiving, status

LIMITS = WebhookLimits()
NAME = "hooks.example.org"


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def trusting(pem: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(pem)
    return context


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path, NAME)


def sender(pem: Path, limits: WebhookLimits = LIMITS) -> Sender:
    return Sender(limits, private=True, resolve=loopback, trust=trusting(pem))


async def test_the_name_of_the_url_is_verified_and_sent(pem: Path) -> None:
    async with receiving(certificate=pem) as receiver:
        url = f"https://{NAME}:{receiver.port}/hook?a=b"
        outcome = await sender(pem).send(url, {"webhook-id": "msg_1"}, b"{}")
    assert (outcome.status, outcome.error, outcome.taken) == (204, None, True)
    (got,) = receiver.got
    assert got.headers["host"] == f"{NAME}:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == "msg_1"
    assert (got.path, got.body) == ("/hook?a=b", b"{}")


async def test_another_name_is_not_trusted(pem: Path) -> None:
    async with receiving(certificate=pem) as receiver:
        url = f"https://other.example.org:{receiver.port}/"
        outcome = await sender(pem).send(url, {}, b"{}")
    assert outcome.error == "Its certificate is not valid for this name."
    assert receiver.got == []


async def test_an_unknown_authority_is_not_trusted(pem: Path) -> None:
    async with receiving(certificate=pem) as receiver:
        unknown = Sender(LIMITS, private=True, resolve=loopback)
        outcome = await unknown.send(f"https://{NAME}:{receiver.port}/", {}, b"{}")
    assert outcome.error == "Its certificate is not valid for this name."
    assert receiver.got == []


async def test_a_name_is_resolved_once_and_the_connection_goes_there(
    pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second answer would be another address. The system's resolver is never asked."""
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    real = socket.getaddrinfo

    def no_names(host: str | bytes | None, *rest: object, **options: object) -> object:
        assert host in ("127.0.0.1", b"127.0.0.1"), f"{host!r} is resolved again"
        return real(host, *rest, **options)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    async with receiving(certificate=pem) as receiver:
        pinned = Sender(LIMITS, private=True, resolve=rebinding, trust=trusting(pem))
        outcome = await pinned.send(f"https://{NAME}:{receiver.port}/", {}, b"{}")
    assert outcome.taken
    assert asked == [NAME]


async def test_a_name_that_turns_private_is_refused_at_the_next_try(pem: Path) -> None:
    """It was public when it was added."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    async def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    async with receiving(certificate=pem) as receiver:
        strict = Sender(LIMITS, private=False, resolve=rebinding, trust=trusting(pem))
        url = f"https://{NAME}:{receiver.port}/"
        await strict.check(url)
        outcome = await strict.send(url, {}, b"{}")
    assert outcome.error is not None
    assert "not public" in outcome.error
    assert receiver.got == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(code: int) -> None:
    async with receiving() as target:
        location = f"Location: http://127.0.0.1:{target.port}/"
        async with receiving(lambda _got: status(code, location)) as receiver:
            plain = Sender(LIMITS, private=True)
            outcome = await plain.send(f"http://127.0.0.1:{receiver.port}/", {}, b"{}")
    assert (outcome.status, outcome.taken) == (code, False)
    assert outcome.error is not None
    assert "redirect" in outcome.error
    assert len(receiver.got) == 1
    assert target.got == []


async def test_no_more_of_an_answer_is_read_than_its_bound() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65536 + b"..."
    async with receiving(lambda _got: endless) as receiver:
        outcome = await Sender(LIMITS, private=True).send(
            f"http://127.0.0.1:{receiver.port}/", {}, b"{}"
        )
        assert outcome.taken
        await receiver.closed.wait()


async def test_a_silent_receiver_is_given_up(pem: Path) -> None:
    async with receiving(lambda _got: None) as receiver:
        outcome = await sender(pem, replace(LIMITS, send_seconds=0.05)).send(
            f"http://127.0.0.1:{receiver.port}/", {}, b"{}"
        )
        assert outcome.error == "No answer came within 0.05 s."
        await receiver.closed.wait()


@pytest.mark.parametrize("answer", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 200"])
async def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    async with receiving(lambda _got: answer) as receiver:
        outcome = await Sender(LIMITS, private=True).send(
            f"http://127.0.0.1:{receiver.port}/", {}, b"{}"
        )
    assert outcome.status is None
    assert outcome.error == "The connection failed, or closed without an answer."


async def test_a_port_where_nobody_listens_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = await Sender(LIMITS, private=True).send(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert outcome.error == "The connection was refused."


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    def answer(got: Got) -> bytes:
        return status(200 if got.path == "/hook" else 400)

    async with receiving(answer) as receiver:
        outcome = await Sender(LIMITS, private=True).send(
            f"http://127.0.0.1:{receiver.port}/hook", {}, b"{}"
        )
    assert outcome.taken
