"""`lading doctor`: try a deployment from where its users are."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.address import find
from lading.commands.common import DONE, FAILED, Common, Json, Token, finish
from lading.commands.output import Output, printable

if TYPE_CHECKING:
    from lading.doctor import Finding

Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", metavar="URL", help="A site whose pages upload; may be repeated."),
]
Idle = Annotated[
    float,
    typer.Option("--idle", metavar="SECONDS", min=0.0, help="How long a WebSocket must stay open."),
]


def doctor(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="The address that users see.")],
    *,
    origin: Origins = None,
    idle: Idle = 70.0,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Try a deployment from outside, through its proxies, and say what to change in them.

    Uploads 64 MiB and deletes them again. Exits with 1 when something does not work.
    """
    # Imported here: `lading serve` and `--help` need no HTTP client.
    from lading.doctor import DoctorLimits, examine

    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)
    states: list[str] = []

    def note(finding: Finding) -> None:
        states.append(finding.state)
        show(output, finding)

    async def work() -> int:
        address = find(url, token or common.token, os.environ)
        limits = replace(DoctorLimits(), idle_seconds=idle)
        origins = [each.rstrip("/") for each in origin or ()]
        await examine(address, note, origins=origins, limits=limits)
        bad, doubtful = states.count("failed"), states.count("warning")
        line = f"\n{len(states)} trials: {bad} failed, {doubtful} warnings"
        output.data(line, event="examined", failed=bad, warnings=doubtful)
        return FAILED if bad else DONE

    raise typer.Exit(finish(work, output))


def show(output: Output, finding: Finding) -> None:
    """One line for the finding, and one for each place where something may be to change."""
    lines = [f"{finding.state:<8} {finding.name:<11} {printable(finding.detail)}"]
    lines += [f"{'':<20} {place}: {change}" for place, change in finding.advice.items()]
    facts = {"name": finding.name, "state": finding.state, "detail": finding.detail}
    output.data("\n".join(lines), event="trial", **facts, advice=dict(finding.advice))
