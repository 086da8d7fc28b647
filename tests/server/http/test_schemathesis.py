"""Schemathesis asks a real server what its OpenAPI document promises, and what it does not.

Deterministic: the same requests in each run, but for the ids that the server chooses. More of them
with LADING_SCHEMATHESIS_EXAMPLES.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from lading.server.limits import UploadLimits
from tests.support.servers import Process, process

ORDINARY = 2
EXAMPLES = int(os.environ.get("LADING_SCHEMATHESIS_EXAMPLES", ORDINARY))

STATE_REFUSES = [
    "2xx",
    "304",
    "401",
    "403",
    "404",
    "409",
    "410",
    "412",
    "413",
    "415",
    "416",
    "422",
    "507",
]
"""What valid requests may hear, by what is stored and allowed; 400 is for invalid ones only."""

REFUSED_THOUGH_VALID = {
    "openChannel": "a GET that is no upgrade to WebSocket is never valid, which no schema can say",
    "createFiles": "the body is a row of msgpack values, which a schema cannot say",
    "listFiles": "a cursor is one that the server returned for the same order",
    "changeGrant": "what may change depends on what the grant is for",
    "moveDirectory": "the new place must not be inside of the directory",
    "createGrant": "size must not exceed max_size; schemas do not compare fields",
    "finishUpload": "size must be given or agree, depending on how the upload was created",
    "beginSession": "a name and a password are given together, or neither",
    "createTus": "the length is given or deferred, not both; metadata and checksums have a grammar",
    "appendTus": "a checksum has a grammar",
    "overrideTus": "a checksum has a grammar",
    "appendResumable": "the headers are Structured Fields, whose types a schema cannot say",
    "createResumable": "lengths must agree, depending on the body",
    "overrideWithGrant": "a checksum has a grammar",
    "appendWithGrant": "what is needed depends on which protocol is spoken",
    "lookWithGrant": "what is needed depends on which protocol is spoken",
    "cancelWithGrant": "what is needed depends on which protocol is spoken",
    "addWebhook": "the name must have public addresses",
    "changeWebhook": "the name must have public addresses",
}
"""Operations whose 400 depends on more than a schema can say: one check is off, all others hold."""


DRAFT = (
    "lookResumable",
    "lookResumableHead",
    "appendResumable",
    "cancelResumable",
    "lookWithGrant",
    "lookWithGrantHead",
    "appendWithGrant",
    "cancelWithGrant",
)
NO_VERSION = {"header.Upload-Draft-Interop-Version": "0"}
"""Python's HTTP client takes an interim answer, which is sent to known versions, for the last."""

OF_TUS = (
    "createTus",
    "lookTus",
    "lookTusHead",
    "appendTus",
    "terminateTus",
    "overrideTus",
    "overrideWithGrant",
)
NOT_SPOKEN = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "429"]
"""tus has a status of its own, 412, for a version that is not spoken. 413: the bytes are judged
before headers that are not known."""

DESCRIBES = (
    "describeFiles",
    "describeTus",
    "describeTusUpload",
    "describeResumable",
    "describeUpload",
    "describeGrant",
    "describeGrantUpload",
)
"""OPTIONS tells what is spoken at an address, whatever else is in it."""

ENDLESS = "streamEvents"
"""Its answer never ends by itself, and Schemathesis waits for the end. Its own test reads it."""

KIND = "anything"
"""The one kind that the server knows; a schema cannot say which kinds a site has."""


@pytest.fixture(scope="module")
def asked(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of its own: what is asked here fills it with all sorts of things."""
    url = mongod.replace("/?", "/schemathesis?")
    folder = tmp_path_factory.mktemp("asked")
    kinds = folder / "kinds.toml"
    kinds.write_text(f"[{KIND}]\n")
    with process(folder, url, kinds=kinds) as running:
        yield running


schemathesis.serializer.alias(
    ["application/offset+octet-stream", "application/partial-upload", "application/vnd.msgpack"],
    "application/octet-stream",
)


@dataclass
class Findings:
    """What was asked, what was checked, and what was wrong."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    checks: int = 0
    failures: dict[tuple[str, str | None], str] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def note(self, event: events.EngineEvent) -> None:
        """Take in what happened."""
        if isinstance(event, events.ScenarioFinished):
            self._note_scenario(event)
        elif isinstance(event, events.NonFatalError):
            self.failures["error", event.label] = str(event.value)
        elif isinstance(event, events.FatalError):
            self.failures["error", None] = repr(event.exception)
        elif isinstance(event, events.EngineFinished):
            self.seconds = event.running_time

    def _note_scenario(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        self.requests[event.phase.value] += len(recorder.interactions)
        for case in recorder.cases.values():
            self.operations.add(case.value.operation.label)
        for interaction in recorder.interactions.values():
            if interaction.response is not None:
                self.statuses[interaction.response.status_code] += 1
        for check in (each for checks in recorder.checks.values() for each in checks):
            self.checks += 1
            found = check.failure_info
            if found is not None:
                text = f"{found.failure.title}\n{found.failure.message}\n{found.code_sample}"
                self.failures.setdefault((check.name, found.failure.operation), text[:2000])

    def __str__(self) -> str:
        phases = ", ".join(f"{name} {count:,}" for name, count in self.requests.items() if count)
        statuses = " ".join(f"{status}:{n}" for status, n in sorted(self.statuses.items()))
        return (
            f"schemathesis: {self.requests.total():,} requests ({phases}) to "
            f"{len(self.operations)} operations, {self.checks:,} checks, "
            f"{len(self.failures)} faults, {self.seconds:.0f} s; answers {statuses}"
        )


def configuration(server: Process) -> SchemathesisConfig:
    options: dict[str, Any] = {
        "seed": 1,
        "headers": server.headers,
        "continue-on-failure": True,
        # Longer than a download waits for bytes of an upload that may still go on.
        "request-timeout": 1.2 * UploadLimits().live_seconds,
        "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        "checks": {"positive_data_acceptance": {"expected-statuses": STATE_REFUSES}},
        # Chains of operations ask thousands of times even with few examples: not each time.
        "phases": {"stateful": {"enabled": EXAMPLES > ORDINARY}},
        "operations": [
            {
                "include-operation-id": name,
                "checks": {"positive_data_acceptance": {"enabled": False}},
            }
            for name in REFUSED_THOUGH_VALID
        ]
        + [
            {"include-operation-id": name, "parameters": {"query.kind": KIND}}
            for name in ("createFile", "createTus")
        ]
        + [
            {
                "include-operation-id": "createResumable",
                "parameters": {"query.kind": KIND, **NO_VERSION},
            }
        ]
        + [{"include-operation-id": name, "parameters": NO_VERSION} for name in DRAFT]
        + [
            {
                "include-operation-id": name,
                "checks": {
                    "negative_data_rejection": {"expected-statuses": [*NOT_SPOKEN, "5xx"]},
                    "missing_required_header": {"expected-statuses": NOT_SPOKEN},
                },
            }
            for name in OF_TUS
        ]
        + [
            {
                "include-operation-id": name,
                "checks": {"negative_data_rejection": {"enabled": False}},
            }
            for name in DESCRIBES
        ]
        + [{"include-operation-id": ENDLESS, "enabled": False}],
    }
    return SchemathesisConfig.from_dict(options)


@pytest.mark.timeout(200 * EXAMPLES)
def test_server_keeps_to_its_description(
    asked: Process, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    schema = schemathesis.openapi.from_url(f"{asked.url}/openapi.json", config=configuration(asked))
    findings = Findings()
    for event in from_schema(schema).execute():
        findings.note(event)
    record_property("schemathesis", str(findings))
    with capsys.disabled():
        print(f"\n{findings}")
    assert not findings.failures, "\n\n".join(
        f"{check}: {operation}\n{text}" for (check, operation), text in findings.failures.items()
    )
    described = {
        f"{method.upper()} {path}"
        for path, methods in schema.raw_schema["paths"].items()
        for method in methods
    }
    # Schemathesis asks the address that it has the document from for nothing else, nor that one.
    assert described - findings.operations <= {"GET /openapi.json", "GET /v1/events"}
    log = Path(asked.log).read_text("utf-8", "replace")
    assert "Traceback" not in log, log[-4000:]
    assert "serializer warnings" not in log, "an answer differs from its model"
