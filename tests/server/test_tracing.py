"""What a collector gets: decoded by OpenTelemetry's own messages, from a server that runs."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import lading.server.tracing
from tests.support.servers import inside, process
from tests.support.wire import channel

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """Keeps what is exported to `url`."""

    def __init__(self) -> None:
        self.url = ""
        self.raw = b""
        self.spans: list[Span] = []
        self.service: dict[str, str] = {}

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = resource.resource.attributes
            self.service = {each.key: each.value.string_value for each in told}
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        (found,) = self.named(name)
        return found

    def below(self, parent: Span) -> set[str]:
        """The names of all that happened in a span."""
        names: set[str] = set()
        for span in self.spans:
            if span.parent_span_id == parent.span_id:
                names |= {span.name} | self.below(span)
        return names


def facts(span: Span) -> dict[str, object]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in span.attributes
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.take(self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()
        thread.join()


async def test_a_request_is_a_span_of_the_trace_that_its_sender_began(
    tmp_path: Path, database_url: str, collector: Collector
) -> None:
    async with (
        inside(tmp_path, database_url, otlp_endpoint=collector.url) as server,
        server.http() as http,
    ):
        made = await http.post(
            "/v1/files?name=secret-name.txt",
            content=b"hello",
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        assert made.status_code == 201
        await http.get("/v1/files/unknown?token=secret-token")
    request = collector.one("POST /v1/files")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert request.kind == Span.SPAN_KIND_SERVER
    told = facts(request)
    assert told["http.request.method"] == "POST"
    assert told["http.route"] == "/v1/files"
    assert told["http.response.status_code"] == 201
    assert told["http.request.body.size"] == 5
    assert told["lading.request_id"] == made.headers["x-request-id"]
    done = collector.below(request)
    assert {"create", "write", "finish"} <= done
    assert any(name.startswith("Manifests.") for name in done)
    assert any(name.startswith("home ") for name in done)
    (write,) = [span for span in collector.named("write") if span.trace_id.hex() == TRACE]
    assert facts(write)["lading.bytes"] == 5
    for span in collector.spans:
        assert span.end_time_unix_nano >= span.start_time_unix_nano
    assert request.status.code == Status.STATUS_CODE_UNSET
    assert collector.one("GET /v1/files/{id}").status.code == Status.STATUS_CODE_UNSET
    assert collector.service["service.name"] == "lading"
    assert server.token is not None
    for never in (server.token, "secret-name", "secret-token"):
        assert never.encode() not in collector.raw


async def test_each_piece_of_a_channel_is_a_trace_that_names_the_channel(
    tmp_path: Path, database_url: str, collector: Collector
) -> None:
    async with (
        inside(tmp_path, database_url, otlp_endpoint=collector.url) as server,
        channel(server) as wire,
    ):
        await wire.upload(1, b"x" * 300_000, name="film", chunk_size=100_000)
    the_channel = collector.one("GET /v1/ws")
    writes = collector.named("write")
    assert len(writes) == len({span.trace_id for span in writes}) >= 3
    for span in writes:
        assert span.trace_id != the_channel.trace_id
        assert [link.span_id for link in span.links] == [the_channel.span_id]
        assert collector.below(span)
    assert not collector.below(the_channel)


async def test_a_step_of_the_outbox_is_a_span(
    tmp_path: Path, database_url: str, collector: Collector
) -> None:
    home = (tmp_path / "home").as_uri()
    async with (
        inside(tmp_path, database_url, otlp_endpoint=collector.url, blobs=home) as server,
        channel(server) as wire,
    ):
        await wire.upload(1, b"x" * 300_000, name="film")
    place = collector.one("place")
    assert "Outbox.take_out" not in collector.below(place)  # that comes after it
    assert {"home place"} <= collector.below(place)


async def test_the_log_names_the_trace(
    tmp_path: Path, database_url: str, collector: Collector
) -> None:
    with process(tmp_path, database_url, otlp_endpoint=collector.url, log_format="json") as server:
        async with server.http() as http:
            await http.get("/v1/usage", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    said = server.log.read_text().splitlines()
    lines = [json.loads(line) for line in said if line.startswith("{")]
    (line,) = [line for line in lines if line.get("route") == "/v1/usage"]
    assert line["trace_id"] == TRACE
    assert collector.one("GET /v1/usage").trace_id.hex() == TRACE


async def test_a_collector_that_is_away_holds_nobody_up(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lading.server.tracing, "SEND_SECONDS", 0.2)
    async with (
        inside(tmp_path, database_url, otlp_endpoint="http://127.0.0.1:9") as server,
        server.http() as http,
    ):
        assert (await http.get("/v1/usage")).status_code == 200


def test_a_server_without_the_setting_loads_nothing_of_it() -> None:
    look = (
        "import sys, lading.server.app; print([name for name in sys.modules if 'opentel' in name])"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
