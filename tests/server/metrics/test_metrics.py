"""`/metrics` of real servers: what is counted, for whom, in which form, over all processes."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lading import Client
from tests.support import metrics
from tests.support.children import free_port
from tests.support.missing import missing
from tests.support.photos import jpeg
from tests.support.servers import Process, process, until
from tests.support.users import JWT, client, mint, refusal, user

REQUESTS = int(os.environ.get("LADING_TEST_METRICS_REQUESTS", "400"))
"""So many requests are counted; 10,000 by hand."""

WORKERS = 4


@pytest.fixture(scope="module")
def server(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One process with users, and a port for the metrics."""
    url, place = mongod.replace("/?", "/metrics?"), tmp_path_factory.mktemp("metrics")
    port = free_port()
    hosts = {"allowed_hosts": "files.example"}
    with process(place, url, metrics_port=port, default_quota="100MB", **hosts, **JWT) as running:
        (place / "port").write_text(str(port))
        yield running


@pytest.fixture(scope="module")
def several(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Four processes on one port."""
    url, place = mongod.replace("/?", "/several?"), tmp_path_factory.mktemp("several")
    port = free_port()
    with process(place, url, workers=WORKERS, metrics_port=port, imaging=0) as running:
        (place / "port").write_text(str(port))
        yield running


def opened(server: Process) -> httpx.AsyncClient:
    """A client of the port that needs no credential."""
    port = (server.data / "port").read_text()
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)


# -- who may read them


async def test_only_an_admin_reads_them_at_the_port_of_the_files(server: Process) -> None:
    for token, wanted in (
        (None, (401, "unauthorized")),
        (user("ann"), (403, "forbidden")),
        (user("site", "grant"), (403, "forbidden")),
        ((await mint(server))["token"], (403, "forbidden")),
    ):
        async with client(server, token) as asking:
            assert refusal(await asking.get("/metrics")) == wanted
    async with client(server, user("boss", "admin")) as asking:
        answer = await asking.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert answer.headers["cache-control"] == "no-store"


async def test_the_other_port_needs_no_credential_and_has_nothing_else(server: Process) -> None:
    async with opened(server) as asking:
        # Prometheus asks for an address, whatever names are allowed elsewhere.
        told = await asking.get("/metrics", headers={"Host": "10.0.0.7:9100"})
        assert told.status_code == 200
        for path in ("/", "/livez", "/v1/files", "/metrics/"):
            assert refusal(await asking.get(path)) == (404, "not-found")


# -- what they are


def checked(text: str) -> str:
    """What promtool has to say against them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


async def test_an_upload_is_counted_on_its_way(server: Process, tmp_path: Path) -> None:
    path = tmp_path / "film.bin"
    path.write_bytes(os.urandom(3 * 2**20))
    async with opened(server) as asking:
        before = await metrics.read(asking)
        async with Client(server.url, user("ann")) as uploading:
            file = await uploading.upload(path)
        async with client(server, user("ann")) as browser:
            await browser.get(f"/v1/files/{file.id}")
            told = await browser.post("/v1/uploads", json={"name": "large", "size": 10**9})
            assert refusal(told) == (507, "quota-exceeded")
        after = await metrics.read(asking)

    def more(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    assert more("lading_uploads_total", event="begun") == 1
    assert more("lading_uploads_total", event="finished") == 1
    assert more("lading_upload_refusals_total", verb="create", code="quota-exceeded") == 1
    assert more("lading_acknowledged_bytes_total") == 3 * 2**20
    assert more("lading_piece_size_bytes_count") == 3
    assert more("lading_piece_size_bytes_sum") == 3 * 2**20
    assert more("lading_acknowledgement_duration_seconds_count") == 3
    assert more("lading_received_bytes_total", transport="websocket") > 3 * 2**20
    assert more("lading_sent_bytes_total", transport="http") > 3 * 2**20
    assert more("lading_byte_budget_wait_duration_seconds_count") >= 3
    assert more("lading_blob_operation_duration_seconds_count", operation="write") == 3
    assert more("lading_blob_bytes_total", operation="write") == 3 * 2**20
    assert more("lading_database_operation_duration_seconds_count") > 10
    route = {"method": "GET", "route": "/v1/files/{id}", "status": "200"}
    assert more("lading_http_requests_total", **route) == 1
    assert more("lading_http_request_duration_seconds_count", **route) == 1
    assert after.total("lading_database_up") == 1
    assert after.total("lading_database_resident_memory_bytes") > 10**7
    assert after.total("lading_resident_memory_bytes") > 10**7
    assert after.total("lading_free_space_bytes", disk="database") > 0
    assert after.total("lading_connections_limit") == 20_000
    assert after.total("lading_outbox_oldest_age_seconds") < 600


async def test_what_becomes_of_files_is_counted(server: Process) -> None:
    async with client(server, user("ann")) as browser, opened(server) as asking:
        before = await metrics.read(asking)
        file = (await browser.post("/v1/files?name=a.txt", content=b"a")).json()["_id"]
        path = f"/v1/files/{file}"
        assert (await browser.put(path, content=b"b")).status_code == 200
        assert (await browser.put(path, content=b"c")).status_code == 200
        assert (await browser.delete(path, params={"trash": "true"})).status_code == 200
        assert (await browser.post(f"{path}/restore")).status_code == 200
        assert (await browser.delete(path)).status_code == 204
        after = await metrics.read(asking)
    events = ("replaced", "trashed", "restored", "deleted")
    more = [
        after.total("lading_files_total", event=event)
        - before.total("lading_files_total", event=event)
        for event in events
    ]
    assert more == [2, 1, 1, 1]
    assert [*after.series("lading_trash_files")], "it is looked up now and then"


async def test_the_memory_of_the_children_that_make_images_is_told(server: Process) -> None:
    async with client(server, user("ann")) as browser, opened(server) as asking:
        file = (await browser.post("/v1/files?name=a.jpg", content=jpeg())).json()["_id"]
        async with asyncio.timeout(30):
            while (await browser.get(f"/v1/files/{file}/3")).status_code == 202:
                pass  # each of them waits for a moment
        found = await metrics.read(asking)
    assert 10**7 < found.total("lading_imaging_peak_memory_bytes") < 10**9


async def test_promtool_has_nothing_against_them(server: Process) -> None:
    async with opened(server) as asking:
        text = (await asking.get("/metrics")).text
    assert checked(text) == ""


async def test_whoever_asks_for_openmetrics_gets_it(server: Process) -> None:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    async with opened(server) as asking:
        told = await asking.get("/metrics", headers=accept)
    assert told.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert told.text.endswith("# EOF\n")
    families = text_string_to_metric_families(told.text)  # type: ignore[no-untyped-call] # the library has no annotation here
    found = {family.name: family.type for family in families}
    assert found["lading_http_requests"] == "counter"
    assert found["lading_piece_size_bytes"] == "histogram"


@pytest.mark.parametrize(
    "version", ["", ";version=x", ";version=9.9.9", ";version=1.0.0;escaping=x"]
)
async def test_a_version_that_does_not_exist_harms_nobody(server: Process, version: str) -> None:
    async with opened(server) as asking:
        for kind in ("application/openmetrics-text", "text/plain"):
            told = await asking.get("/metrics", headers={"Accept": kind + version})
            assert told.status_code == 200
            assert told.headers["content-type"].startswith(kind)


async def test_random_addresses_and_names_make_no_series(server: Process) -> None:
    async with opened(server) as asking, client(server, user("ann")) as browser:

        async def strange() -> None:
            word = secrets.token_hex(6)
            for method, path in (
                ("GET", f"/{word}"),
                ("GET", f"/v1/{word}"),
                ("GET", f"/v1/files/{secrets.token_hex(12)}"),
                ("GET", f"/v1/tags/{word}"),
                (word.upper(), "/v1/files"),
                ("GET", f"/v1/g/lg_{word}"),
                ("DELETE", f"/v1/users/{word}"),
            ):
                await browser.request(method, path)

        await strange()
        before = await metrics.read(asking)
        for _ in range(20):
            await strange()
        after = await metrics.read(asking)
    assert before.count <= after.count <= before.count + 30  # further buckets of a status
    assert after.total("lading_http_requests_total", method="other") >= 20
    assert after.total("lading_http_requests_total", route="none") >= 40


async def test_no_label_is_an_id_a_user_or_an_address(server: Process) -> None:
    async with client(server, user("a-user-of-mine")) as browser:
        await browser.post("/v1/files?name=a&tag=my-tag", content=b"x")
    async with opened(server) as asking:
        found = await metrics.read(asking)
    values = {
        value
        for family in found.families.values()
        for s in family.samples
        for value in s.labels.values()
    }
    assert not {value for value in values if re.search(r"[0-9a-f]{24}|lg_|my-tag|of-mine", value)}


# -- several processes


async def test_four_workers_count_together_what_a_client_has_counted(several: Process) -> None:
    async with opened(several) as asking:
        before = await metrics.read(asking)
        used = await count_requests(several, REQUESTS)
        after = await metrics.read(asking)
    for path in ("/livez", "/v1/usage"):
        labels = {"method": "GET", "route": path, "status": "200"}
        for name in ("lading_http_requests_total", "lading_http_request_duration_seconds_count"):
            assert after.total(name, **labels) - before.total(name, **labels) == used[path]
    assert after.total("lading_resident_memory_bytes") > WORKERS * 3 * 10**7
    assert after.total("lading_byte_budget_bytes") == pytest.approx(192 * 2**20, rel=0.01)


async def count_requests(server: Process, count: int) -> dict[str, int]:
    """Make so many requests over connections to all workers, and count them."""
    used = {"/livez": 0, "/v1/usage": 0}
    left = iter(range(count))

    async def ask() -> None:
        async with server.http() as browser:
            for number in left:
                path = "/v1/usage" if number % 4 == 0 else "/livez"
                assert (await browser.get(path)).status_code == 200
                used[path] += 1

    await asyncio.gather(*(ask() for _ in range(16)))
    assert sum(used.values()) == count
    return used


async def test_what_a_worker_has_counted_outlives_it(several: Process) -> None:
    """A counter that goes back looks like a restart to Prometheus, and like many requests."""
    async with opened(several) as asking:
        await count_requests(several, 100)
        before = await metrics.read(asking)
    os.kill(a_worker(several), signal.SIGKILL)
    await until(lambda: "worker-ended" in several.log.read_text())
    async with opened(several) as asking:
        try:
            after = await metrics.read(asking)
        except httpx.TransportError:  # the worker died with this connection
            after = await metrics.read(asking)
    name, labels = "lading_http_requests_total", {"route": "/livez", "status": "200"}
    assert after.total(name, **labels) >= before.total(name, **labels) > 0


def a_worker(server: Process) -> int:
    children = Path(f"/proc/{server.child.pid}/task/{server.child.pid}/children").read_text()
    return int(children.split()[0])


async def test_promtool_has_nothing_against_those_of_several(several: Process) -> None:
    async with opened(several) as asking:
        text = (await asking.get("/metrics")).text
    assert checked(text) == ""
