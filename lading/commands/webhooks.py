"""`lading webhooks`: who hears of which events, and what was delivered; for admins."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.commands.common import DONE, FAILED, Json, Profile, Server, Token, run
from lading.commands.output import Output
from lading.protocol.webhooks import Event

if TYPE_CHECKING:
    from lading.client.client import Client

webhooks = typer.Typer(help="Send events to other servers. Only an admin may.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of the webhook.")]

SHOWN = 50
"""Deliveries that `log` prints unless it is asked for more."""


@webhooks.callback(invoke_without_command=True)
def before(
    context: typer.Context,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Without a command: the same as `list`."""
    if context.invoked_subcommand is None:
        _list(context, server, profile, token, as_json)


@webhooks.command("list")
def listing(
    context: typer.Context,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the webhooks, and why those are disabled that are."""
    _list(context, server, profile, token, as_json)


def _list(
    context: typer.Context,
    server: str | None,
    profile: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    async def work(client: Client, output: Output) -> int:
        _show(output, await client.webhooks.all())
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@webhooks.command()
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    event: Annotated[
        list[Event],
        typer.Option("--event", help="An event to send; may be repeated."),
    ],
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Send events to a URL from now on, and print the secret that they are signed with.

    The secret is shown this once.
    """

    async def work(client: Client, output: Output) -> int:
        added = await client.webhooks.add(url, [str(each) for each in event])
        output.data(f"{added['id']} {added['secret']}", **added)
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@webhooks.command()
def rm(
    context: typer.Context,
    webhook_id: Id,
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Remove a webhook with its log; what is pending is not sent."""

    async def work(client: Client, output: Output) -> int:
        await client.webhooks.remove(webhook_id)
        output.data(webhook_id, event="removed", id=webhook_id)
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@webhooks.command()
def enable(
    context: typer.Context,
    webhook_id: Id,
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Let a webhook get events again, and what it missed in the last 7 days."""

    async def work(client: Client, output: Output) -> int:
        _show(output, [await client.webhooks.enable(webhook_id)])
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@webhooks.command()
def disable(
    context: typer.Context,
    webhook_id: Id,
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Let a webhook get nothing until it is enabled."""

    async def work(client: Client, output: Output) -> int:
        _show(output, [await client.webhooks.disable(webhook_id)])
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@webhooks.command("test")
def send(
    context: typer.Context,
    webhook_id: Id,
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Send the event `webhook.test` now, and print what became of it."""

    async def work(client: Client, output: Output) -> int:
        delivery = await client.webhooks.test(webhook_id)
        _show_deliveries(output, [delivery])
        return DONE if delivery["state"] == "delivered" else FAILED

    run(context, server, token, as_json, work, profile=profile)


@webhooks.command()
def log(
    context: typer.Context,
    webhook_id: Id,
    *,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only those: pending, delivered or failed."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most to print.")] = SHOWN,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the deliveries of a webhook, the newest first."""

    async def work(client: Client, output: Output) -> int:
        found = [each async for each in _first(client, webhook_id, state, limit)]
        _show_deliveries(output, found)
        return DONE

    run(context, server, token, as_json, work, profile=profile)


async def _first(client: Client, webhook_id: str, state: str | None, most: int) -> Any:
    number = itertools.count(1)
    async for each in client.webhooks.log(webhook_id, state):
        yield each
        if next(number) >= most:
            return


def _show(output: Output, found: list[Mapping[str, Any]]) -> None:
    if output.as_json:
        for each in found:
            output.data("", **each)
    elif found:
        output.table(("ID", "STATE", "EVENTS", "URL", "REASON"), [_row(each) for each in found])


def _row(webhook: Mapping[str, Any]) -> tuple[str, ...]:
    state = "enabled" if webhook["enabled"] else "disabled"
    events = ",".join(webhook["events"])
    return webhook["id"], state, events, webhook["url"], webhook["disabled_because"] or ""


def _show_deliveries(output: Output, found: list[Mapping[str, Any]]) -> None:
    if output.as_json:
        for each in found:
            output.data("", **each)
    elif found:
        columns = ("TIME", "EVENT", "STATE", "TRIES", "MESSAGE", "ERROR")
        output.table(columns, [_delivery(each) for each in found])


def _delivery(found: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("created_at", "event", "state", "tries", "message_id")
    return (*(str(found[each]) for each in names), found["error"] or "")
