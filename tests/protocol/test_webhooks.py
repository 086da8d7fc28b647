"""The signature of a delivery, as the reference library and the specification have it."""

from __future__ import annotations

from datetime import UTC, datetime

from standardwebhooks import Webhook

from lading.protocol.webhooks import headers, secret_of


def test_the_reference_library_verifies_a_signature() -> None:
    secret = secret_of(bytes(range(32)))
    now = int(datetime.now(UTC).timestamp())
    body = '{"type":"file.ready","data":{"name":"Ä"}}'.encode()
    signed = headers(secret, "msg_1", now, body)
    assert Webhook(secret).verify(body, signed)["data"] == {"name": "Ä"}


def test_a_signature_is_that_of_the_specification() -> None:
    """The example of its repository."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
