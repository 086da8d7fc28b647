"""Dialogues with the receiver, replayed: `tests/transcripts/*.txt` says what must come of what.

Lines with `>` (the client says) and `=` (the driver tells) are fed; lines with `<` (the server
says) and `!` (the driver is asked) must follow as they stand. The first word names the connection,
which `server` opened; `dialogue.py` describes the rest. Lines with `#` are for the reader.

After a change that is meant, rewrite what follows from what, and read the difference:

    LADING_REWRITE_TRANSCRIPTS=1 python -m pytest tests/protocol/test_transcripts.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.transcripts import Desk, parse

TRANSCRIPTS = sorted((Path(__file__).parent.parent / "transcripts").glob("*.txt"))


def replay(text: str) -> str:
    """The transcript with its answers worked out anew."""
    desks: dict[str, Desk] = {}
    written: list[str] = []
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if not rest.startswith(("<", "!")):
            written.append(line)
        if name == "server":
            connection, options = parse(rest)
            desks[connection] = Desk(**options)
        elif rest.startswith((">", "=")):
            written += [f"{name} {answer}" for answer in desks[name].feed(rest)]
    return "\n".join(written) + "\n"


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    replayed = replay(text)
    if os.environ.get("LADING_REWRITE_TRANSCRIPTS"):
        path.write_text(replayed, encoding="utf-8")
    else:
        assert text == replayed


def test_there_are_transcripts() -> None:
    assert {path.stem for path in TRANSCRIPTS} >= {
        "upload-whole", "out-of-order", "resume", "incomplete-finish", "abort", "bad-checksum",
        "window-exceeded", "drain", "credential-expiry",
    }  # fmt: skip
