import pytest

from lading.client.transport import HTTP_SECONDS, Transport
from tests.lading.conftest import Clock


@pytest.fixture
def transport(clock: Clock) -> Transport:
    return Transport(clock.timing())


def test_websocket_comes_first(transport: Transport) -> None:
    assert not transport.is_http


def test_a_blocked_handshake_means_http_at_once(transport: Transport) -> None:
    assert transport.missed(blocked=True)
    assert transport.is_http


def test_two_connections_in_a_row_that_carry_nothing_mean_http(transport: Transport) -> None:
    assert not transport.missed()
    transport.works()
    assert not transport.missed()
    assert transport.missed()


def test_http_that_carries_nothing_either_means_websocket(transport: Transport) -> None:
    transport.missed(blocked=True)
    assert not transport.missed()
    assert not transport.is_http


def test_websocket_is_tried_again_later(transport: Transport, clock: Clock) -> None:
    transport.missed(blocked=True)
    clock.now += HTTP_SECONDS - 1
    assert transport.is_http
    clock.now += 1
    assert not transport.is_http
