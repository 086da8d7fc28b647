"""The documents say what the code does: every setting, route, code, message, and every example.

Reads README.md, CHANGELOG.md and docs/ as text. What stands in a table is compared with the code
both ways. Fenced blocks are judged by their info string. `python` must parse; `sh` may use only
commands and routes that exist. With `run` behind these words a block is carried out against a real
server: all such blocks of a page in one go, from top to bottom, where `curl` fails on a refusal and
`photo.jpg` and `film.mp4` are there. The blocks of a page with `alone` and the same name behind it
are carried out in one go, too, but start their servers themselves, as in a fresh checkout. A block
with several names belongs to each of them. Sizes and counts that a page takes from `SIZE` and
`COUNT` are smaller here than those that it names.
`dialogue` is bytes and what they mean.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import httpx
import pytest
import typer
from starlette.routing import Route, WebSocketRoute

from lading.cli import app as command_line
from lading.client import errors as client_errors
from lading.doctor import ADVICE
from lading.protocol import codec, messages
from lading.protocol.errors import CATALOGUE, LadingError
from lading.protocol.webhooks import Event
from lading.server.app import OPERATIONS, ROUTES
from lading.server.limits import Limits
from lading.server.net.problems import STATUS
from lading.server.settings import Settings, load
from lading.storage.collections.audit import Act
from tests.support import seaweedfs
from tests.support.children import free_port
from tests.support.metrics import FAMILIES
from tests.support.photos import jpeg
from tests.support.servers import process

ROOT = Path(__file__).parent.parent
CHANGELOG = ROOT / "CHANGELOG.md"
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
PAGES = [
    ROOT / "README.md",
    CHANGELOG,
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
DECISIONS = [page for page in PAGES if page.parent.name == "decisions"]
WRITTEN_URL = "http://127.0.0.1:8080"
"""The address that the examples use; another one while they are tested."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def page_text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


class Block(NamedTuple):
    """A fenced block: the page, the line of its fence, the words behind that, and its text."""

    page: Path
    line: int
    info: tuple[str, ...]
    text: str


def _blocks(page: Path) -> Iterator[Block]:
    lines = iter(enumerate(page.read_text("utf-8").splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            text = []
            for _, inner in lines:
                if inner == "```":
                    break
                text.append(inner)
            else:
                raise AssertionError(f"{name_of(page)}:{number}: the fence is not closed")
            yield Block(page, number, tuple(line[3:].split()), "\n".join(text) + "\n")


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def blocks(language: str) -> list[Any]:
    """The blocks of a language as parameters of a test."""
    chosen = [block for block in BLOCKS if block.info[:1] == (language,)]
    return [pytest.param(block, id=f"{name_of(block.page)}:{block.line}") for block in chosen]


def section(name: str, heading: str) -> str:
    """What stands between a heading and the next one of any level."""
    _, _, rest = page_text(name).partition(f"\n{heading}\n")
    assert rest, f"{name} has no {heading}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without the heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [i for i, row in enumerate(cells) if all(set(cell) <= set("-: ") for cell in row)]
    heads = {i - 1 for i in rules}
    return [row for i, row in enumerate(cells) if i not in heads and i not in rules]


def code(cell: str) -> str:
    """The text of a cell that is one code span."""
    match = re.fullmatch(r"`([^`]+)`", cell)
    assert match, cell
    return match[1]


# -- settings --------------------------------------------------------------------------------------


VARIABLES = {f"LADING_{name.upper()}" for name in Settings.model_fields}
NONE = "\N{EN DASH}"


def documented_settings() -> dict[str, str]:
    found = rows(section("docs/settings.md", "## The server's"))
    return {code(row[0]): row[1] for row in found}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(documented_settings()) == VARIABLES


def test_documented_defaults_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in documented_settings():
        monkeypatch.delenv(variable, raising=False)
    usual = load()
    for variable, cell in documented_settings().items():
        name = variable.removeprefix("LADING_").lower()
        if cell == NONE:
            assert getattr(usual, name) in (None, ()), variable
        else:
            assert getattr(load(**{name: code(cell)}), name) == getattr(usual, name), variable


def test_variables_of_the_client_are_those_that_it_reads() -> None:
    listed = {code(row[0]) for row in rows(section("docs/settings.md", "## The client's"))}
    source = (ROOT / "lading" / "client" / "address.py").read_text("utf-8")
    assert listed == set(re.findall(r'environ\.get\("(LADING_\w+)"\)', source))


@cache
def read_by_tests() -> set[str]:
    """The variables with which a test takes more than it does in CI."""
    text = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return set(re.findall(r'os\.environ\.get\("(LADING_[A-Z_]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_named_anywhere_exist(page: Path) -> None:
    named = set(re.findall(r"LADING_[A-Z0-9_]*[A-Z0-9]", page.read_text("utf-8")))
    assert named <= VARIABLES | read_by_tests() | {"LADING_URL", "LADING_TOKEN", "LADING_PROFILE"}


# -- routes ----------------------------------------------------------------------------------------


def served_routes() -> set[tuple[str, str]]:
    found = set()
    for route in ROUTES:
        if isinstance(route, WebSocketRoute):
            found.add(("GET", route.path))
        else:
            assert isinstance(route, Route)
            methods = (route.methods or set()) - {"HEAD"}
            found |= {(method, route.path_format) for method in methods}
    return found


def is_served(method: str, path: str) -> bool:
    for known, template in served_routes():
        pattern = re.sub(r"\{\w+\}", "[^/?]+", template)
        if known == ("GET" if method == "HEAD" else method) and re.fullmatch(pattern, path):
            return True
    return False


def test_every_route_is_documented_and_nothing_else() -> None:
    table = page_text("docs/http-api.md").partition("\n## ")[0]
    listed = [tuple(code(row[0]).split(" ")) for row in rows(table)]
    assert len(listed) == len(set(listed))
    assert set(listed) == served_routes()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_routes_named_anywhere_exist(page: Path) -> None:
    span = re.compile(r"`(GET|HEAD|POST|PUT|PATCH|DELETE) (/[^`\s?]*)[^`]*`")
    named = span.findall(page.read_text("utf-8"))
    assert [route for route in named if not is_served(*route)] == []


# -- webhooks --------------------------------------------------------------------------------------


def test_every_event_is_documented_and_nothing_else() -> None:
    listed = [code(row[0]) for row in rows(section("docs/webhooks.md", "## Events"))]
    assert sorted(listed) == sorted(str(each) for each in Event)


def test_every_act_of_the_audit_log_is_documented_and_nothing_else() -> None:
    table = section("docs/operations.md", "### The audit log")
    listed = [each for row in rows(table) for each in re.findall(r"`([a-z-]+)`", row[0])]
    assert sorted(listed) == sorted(str(each) for each in Act)


# -- metrics ---------------------------------------------------------------------------------------


def test_every_metric_is_documented_with_its_type_and_nothing_else() -> None:
    listed = {
        code(row[0]): row[1] for row in rows(page_text("docs/metrics.md").partition("\n## ")[0])
    }
    wanted = {
        family.name + "_total" * (family.type == "counter"): family.type for family in FAMILIES
    }
    assert listed == wanted


# -- the trials of the doctor ----------------------------------------------------------------------


def test_every_trial_of_the_doctor_is_documented_and_nothing_else() -> None:
    listed = {code(row[0]) for row in rows(section("docs/operations.md", "### From outside"))}
    assert listed == set(ADVICE)


# -- errors ----------------------------------------------------------------------------------------


def test_every_code_is_documented_with_its_status_and_nothing_else() -> None:
    table = page_text("docs/errors.md").partition("\n## ")[0]
    listed = {code(row[0]): (int(row[1]), row[2]) for row in rows(table)}
    wanted = {
        name: (STATUS[name], "yes" if kind.retryable else "no") for name, kind in CATALOGUE.items()
    }
    assert listed == wanted


def test_a_refusal_names_its_code_and_the_status_of_that() -> None:
    text = page_text("docs/http-api.md")
    named = set(re.findall(r"\b([45]\d\d)\s+`([a-z-]+)`", text))
    assert len(named) > 10
    # A connection is refused with another status than a request.
    statuses = {(str(STATUS[name]), name) for name in CATALOGUE} | {("503", "too-many-connections")}
    assert named <= statuses
    refused = re.findall(r"\brefused\s+with\s+(\d+)(?:\s+`([a-z-]+)`)?", text)
    assert refused
    assert set(refused) <= named, "which refusal it is, the status alone does not tell"


def test_codes_that_are_said_to_be_reserved_are_those_that_no_route_answers() -> None:
    listed = rows(page_text("docs/errors.md").partition("\n## ")[0])
    reserved = {code(row[0]) for row in listed if "not answered yet" in row[4]}
    answered = {kind.code for operation in OPERATIONS for kind in operation.problems}
    assert not reserved & answered


def test_every_code_of_the_client_alone_is_documented_and_nothing_else() -> None:
    listed = {code(row[0]) for row in rows(section("docs/errors.md", "## The client's own"))}
    kinds = [kind for _, kind in inspect.getmembers(client_errors, inspect.isclass)]
    own = {
        k.code
        for k in kinds
        if issubclass(k, LadingError) and k.__module__ == "lading.client.errors"
    }
    assert listed == own - set(CATALOGUE)


# -- the wire protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "union"),
    [
        ("### Client to server", messages.ClientMessage),
        ("### Server to client", messages.ServerMessage),
    ],
)
def test_every_message_is_documented_and_nothing_else(heading: str, union: Any) -> None:
    listed = [(int(row[0]), row[1]) for row in rows(section("docs/wire-protocol.md", heading))]
    assert listed == [(kind.number, kind.__name__.upper()) for kind in get_args(union)]


def test_documented_limits_are_the_limits() -> None:
    listed = {row[0]: row[1] for row in rows(section("docs/wire-protocol.md", "## Messages"))}
    wanted = {
        "bytes of a message": f"`max_chunk_size` + {messages.OVERHEAD:,}",
        "bytes of a message that is not a CHUNK, and of a CHUNK besides `data`": (
            f"{messages.OVERHEAD:,}"
        ),
        "items of an array": f"{codec.LONGEST:,}",
        "frames that one message is cut into": f"{Limits().net.max_fragments:,}",
        "largest `ref`": f"{messages.MAX_REF:,}",
        "uploads open on one connection": f"{Limits().receiver.max_uploads:,}",
    }
    assert {name: listed.get(name) for name in wanted} == wanted


class Said(NamedTuple):
    """One message of a dialogue: who sends it, what it is called, and its bytes."""

    who: str
    name: str
    data: bytes


def dialogue(text: str) -> Iterator[Said]:
    for part in text.strip().split("\n\n"):
        lines = part.splitlines()
        words = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
        first, *more = [line for line in lines if not line.startswith("#")]
        assert first[:2] in ("C ", "S "), first
        assert all(line.startswith("  ") for line in more), more
        yield Said(first[0], words[0].split()[0], bytes.fromhex(first[2:] + "".join(more)))


@pytest.mark.parametrize("block", blocks("dialogue"))
def test_dialogue_is_what_both_sides_would_say(block: Block) -> None:
    for said in dialogue(block.text):
        decode: Any = codec.decode_client if said.who == "C" else codec.decode_server
        message = decode(said.data)
        assert type(message).__name__.upper() == said.name
        assert codec.encode(message) == said.data


# -- pages -----------------------------------------------------------------------------------------


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", [page for page in PAGES if page != CHANGELOG], ids=name_of)
def test_paths_in_code_spans_exist(page: Path) -> None:
    spans = re.findall(r"`([\w.-]+/[\w./-]*)`", page.read_text("utf-8"))
    named = {span for span in spans if span.split("/")[0] in FOLDERS}
    built = {span for span in named if span.startswith(("server/page/", "build/"))}
    assert {span for span in named - built if not (ROOT / span).exists()} == set()


def test_tests_that_the_field_notes_name_exist() -> None:
    named = re.findall(r"`([\w./-]+)::(\w+)`", page_text("docs/field-notes.md"))
    assert len(named) > 100
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_decision_is_short_and_has_its_three_parts(page: Path) -> None:
    lines = page.read_text("utf-8").splitlines()
    assert len(lines) < 40
    assert lines[0].startswith(f"# {int(page.name[:4])}. ")
    headings = [line for line in lines if line.startswith("## ")]
    assert headings == ["## Context", "## Decision", "## Consequence"]


# -- examples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("python"))
def test_python_example_parses(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", blocks("json"))
def test_json_example_parses(block: Block) -> None:
    json.loads(block.text)


def _calls(text: str, program: str) -> Iterator[list[str]]:
    """The words behind each call of a program in a piece of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&()")
        lexer.whitespace_split = True
        parts = itertools.groupby(lexer, key=lambda word: set(word) <= set("|;&()"))
        for words in (list(part) for is_border, part in parts if not is_border):
            if words[0] == program:
                yield words[1:]


def _mentions() -> Iterator[Any]:
    """Every call of `lading`, in text and in examples."""
    for page in PAGES:
        text = page.read_text("utf-8")
        spans = re.findall(r"`(lading [a-z][^`]*)`", text)
        scripts = [
            block.text for block in BLOCKS if block.page == page and block.info[:1] == ("sh",)
        ]
        for words in itertools.chain.from_iterable(_calls(t, "lading") for t in spans + scripts):
            yield pytest.param(words, id=f"{name_of(page)}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(_mentions()))
def test_commands_and_options_of_examples_exist(words: list[str]) -> None:
    command: Any = typer.main.get_command(command_line)
    for word in words:
        if not hasattr(command, "commands"):
            break
        assert word in command.commands, f"there is no {word} in: lading {' '.join(words)}"
        command = command.commands[word]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= known


@pytest.mark.parametrize("block", blocks("sh"))
def test_curl_examples_ask_for_routes_that_exist(block: Block) -> None:
    for words in _calls(block.text, "curl"):
        if any(word.startswith(("$BUCKET", "http://$S3/", "$SITE/")) for word in words):
            continue  # the address of the bucket, or of the reader's own site
        (url,) = [word for word in words if word.startswith("$URL")]
        path = url.removeprefix("$URL").partition("?")[0]
        path = path.replace("$LOCATION", "/v1/files/0").replace("$UPLOAD", "/v1/uploads/0")
        path = path.replace("$PRESIGNED", "/v1/g/0")
        path = path.replace("$GRANTED", "/v1/g/0").replace("$SHOWN", "/v1/g/0")
        method = "POST" if {"-F", "-d", "--data-binary"} & set(words) else "GET"
        if "-X" in words:
            method = words[words.index("-X") + 1]
        assert is_served(method, path), words
        assert not any("%header{" in word for word in words), "curl has it since 7.84 only"


PREAMBLE = """\
set -euo pipefail
curl() { command curl --fail-with-body --silent --show-error "$@"; }
lading() { "$PYTHON" -m lading "$@"; }
"""


def _runnable() -> list[Any]:
    pages = sorted({block.page for block in BLOCKS if "run" in block.info})
    return [pytest.param(page, id=name_of(page)) for page in pages]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples call curl")
@pytest.mark.parametrize("page", _runnable())
def test_examples_run(page: Path, tmp_path: Path, database_url: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg(size=100_000))
    film = os.urandom(9 * 2**20)
    (tmp_path / "film.mp4").write_bytes(film)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    environment = {**kept, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    with process(tmp_path / "lading-data", database_url) as server:
        script = PREAMBLE
        for number, block in enumerate(b for b in BLOCKS if b.page == page and "run" in b.info):
            text = block.text.replace(WRITTEN_URL, server.url)
            if block.info[0] == "python":
                (tmp_path / f"example{number}.py").write_text(text)
                text = f'"$PYTHON" example{number}.py\n'
            script += text
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        account = httpx.get(f"{server.url}/v1/usage", headers=server.headers, trust_env=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert account.json()["quota"] is None, "the reader's own account is as it was"
    photo = (tmp_path / "photo.jpg").read_bytes()
    for copy in (*tmp_path.glob("*.mp4"), *tmp_path.glob("*.jpg")):
        whole = film if copy.suffix == ".mp4" else photo
        assert copy.read_bytes() == (whole[:100] if copy.stem == "begin" else whole), copy
    for copy in tmp_path.glob("copy.jpg"):
        assert copy.read_bytes() == (tmp_path / "photo.jpg").read_bytes()


SERVE = (
    "from lading.server.limits import USUAL_LIMITS; "
    'object.__setattr__(USUAL_LIMITS.uploads, "todo_lease_seconds", 5.0); '
    "from lading.server.process.serve import serve; raise SystemExit(serve())"
)
"""`lading serve`, but what a killed server was doing is free after 5 seconds instead of 30."""


def _alone() -> list[Any]:
    alone = [block for block in BLOCKS if block.info[1:2] == ("alone",)]
    found = {(block.page, name) for block in alone for name in block.info[2:]}
    return [pytest.param(*each, id=f"{name_of(each[0])}-{each[1]}") for each in sorted(found)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples call curl")
@pytest.mark.parametrize(("page", "name"), _alone())
def test_examples_that_start_their_servers_run(
    page: Path, name: str, tmp_path: Path, database_url: str
) -> None:
    film = os.urandom(3 * 2**20)
    (tmp_path / "film.mp4").write_bytes(film)
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    ports = {f"127.0.0.1:{port}": free_port() for port in (8080, 8081, 8333)}
    script = PREAMBLE + "".join(
        block.text
        for block in BLOCKS
        if block.page == page and block.info[1:2] == ("alone",) and name in block.info[2:]
    )
    script = script.replace("scripts/serve", f"\"$PYTHON\" -c '{SERVE}'")
    script = script.replace(".venv/bin/weed", str(seaweedfs.program()))
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for copied in [path for path in (tmp_path / "deploy").rglob("*") if path.is_file()]:
        copied.write_text(_on(ports, copied.read_text("utf-8")))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LADING_")}
    environment = {
        **kept,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "LADING_DATABASE_URL": database_url,
        "LADING_PORT": str(ports["127.0.0.1:8080"]),
        "SIZE": "200M",
        "COUNT": "20",
    }
    output = tmp_path / "output.log"
    with (
        output.open("wb") as out,
        subprocess.Popen(
            ["bash", "-c", _on(ports, script)],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as child,
    ):
        try:
            child.wait(120)
        finally:
            with suppress(ProcessLookupError):  # what a failed script has left running
                os.killpg(child.pid, signal.SIGTERM)
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert child.returncode == 0, logs
    for copy in tmp_path.glob("*.mp4"):
        assert copy.read_bytes() == (film[:100] if copy.stem == "begin" else film), copy


def _on(ports: dict[str, int], text: str) -> str:
    for written, port in ports.items():
        text = text.replace(written, f"127.0.0.1:{port}")
    return text
