"""Senders and receivers joined without sockets, over a store that is a dictionary.

It owns the wires, the store's work that takes its time, and the faults: connections cut anywhere,
acknowledgements doubled and reordered, bytes damaged, windows that change, a server that drains, a
stranger who adds to an upload by other means. It refuses to choose: a list of numbers does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lading.protocol import effects as e
from lading.protocol.codec import decode_client, decode_server, encode
from lading.protocol.digests import crc32c
from lading.protocol.errors import Gone, LadingError
from lading.protocol.manifest import cell_start, coverage
from lading.protocol.receiver import Connection, Receiver
from tests.support.drivers import Client, File, Link
from tests.support.memory_store import CELL, Shelf

HARMLESS = {1000, 1001, 1012}
"""Close codes that do not blame the client."""

Action = Callable[[], None]


class World:
    """Clients, their connections and the store. `run` lets numbers decide what happens next."""

    def __init__(self, files: list[File], clients: int, *, early: bool = False) -> None:
        self.files = files
        self.clients = [Client(files, leads=number == 0, early=early) for number in range(clients)]
        self.store: dict[str, Shelf] = {}
        self.jobs: list[tuple[Link, e.Effect]] = []
        self._opened = ""

    def run(self, fates: list[int]) -> None:
        """First anything may happen, then nothing bad any more: all uploads must complete."""
        for fate in fates:
            fault, which = fate % 8 == 0, fate // 8
            actions = self.faults(which) if fault else self.steps()
            if actions:
                actions[which % len(actions)]()
                self.check()
        for _ in range(10_000):
            steps = self.steps()
            if not steps:
                break
            steps[0]()
            self.check()
        else:
            raise AssertionError("it never came to rest")

    def check(self) -> None:
        for link in self.links():
            assert link.receiver.in_flight >= 0
            assert link.sender.in_flight >= link.receiver.in_flight

    def links(self) -> list[Link]:
        return [client.link for client in self.clients if client.link is not None]

    # -- what goes on

    def steps(self) -> list[Action]:
        found: list[Action] = [partial(self.work, job) for job in self.jobs if self.may(job)]
        for client in self.clients:
            link = client.link
            if link is None:
                if not client.done:
                    found.append(partial(self.connect, client))
                continue
            if link.up and not link.receiver.busy:
                found.append(partial(self.deliver_up, link))
            if link.down:
                found.append(partial(self.deliver_down, client))
            if link.sender.heartbeat and client.may_join:
                found.append(partial(self.after, client))
            if client.reads_on:
                found.append(partial(self.read_on, client, 5))
            if link.has_piece:
                found.append(partial(self.send, client))
            if link.receiver.state is Connection.DRAINING and link.receiver.idle and not link.up:
                found.append(partial(self.tell, link, lambda r: r.restart("shutdown")))
        return found

    # -- what goes wrong

    def faults(self, fate: int) -> list[Action]:
        found: list[Action] = [partial(self.add_by_other_means, fate)]
        for client in self.clients:
            link = client.link
            if link is not None:
                found += [
                    client.lose,
                    link.double_acknowledgement,
                    link.swap_acknowledgements,
                    partial(self.tell, link, lambda r: r.set_window(CELL)),
                    partial(self.tell, link, lambda r: r.set_window(CELL + fate % 33)),
                    partial(self.tell, link, lambda r: r.set_window(5 * CELL)),
                    partial(self.send, client, damage=True),
                    partial(self.read_on, client, 1 + fate % 7),
                    partial(self.tell, link, lambda r: r.drain("shutdown", 1)),
                ]
        return found

    def add_by_other_means(self, fate: int) -> None:
        """A stranger to the channel appends a short piece where the bytes of an upload end."""
        for file in self.files:
            shelf = None if file.id is None else self.store[file.id]
            if shelf is None or shelf.ready:
                continue
            missing = coverage(shelf.index, len(file.data)).missing
            for start, end in missing[fate % 2 :][:1]:
                stop = min(end, cell_start(start, CELL) + CELL, start + 1 + fate % CELL)
                data = file.data[start:stop]
                shelf.write(start, data, crc32c(data), whole=False)

    # -- carrying it out

    def connect(self, client: Client) -> None:
        client.connect()
        self.after(client)

    def after(self, client: Client) -> None:
        """Let the driver act, and put what it says on the wire."""
        link = client.link
        if link is None:
            return
        client.step(link.sender)
        if client.link is link:
            link.up.extend(encode(message) for message in link.sender.outgoing())

    def send(self, client: Client, *, damage: bool = False) -> None:
        link = client.link
        wanted = None if link is None else link.sender.wanted()
        if link is None or wanted is None:
            return
        (file,) = [t.file for t in client.transfers if t.ref == wanted.ref]
        chunk = link.sender.piece(wanted, file.data[wanted.start : wanted.end])
        if damage:
            chunk = replace(chunk, crc32c=chunk.crc32c ^ 1)
        link.up.append(encode(chunk))

    def read_on(self, client: Client, more: int) -> None:
        if client.link is not None:
            client.read_on(client.link.sender, more)
            self.after(client)

    def deliver_up(self, link: Link) -> None:
        message = decode_client(link.up.popleft())
        self.tell(link, lambda receiver: receiver.receive(message, 0.0))

    def deliver_down(self, client: Client) -> None:
        link = client.link
        assert link is not None
        data = link.down.popleft()
        if data is None:
            client.lose()
        else:
            link.sender.receive(decode_server(data))
            self.after(client)

    def tell(self, link: Link, event: Callable[[Receiver], None]) -> None:
        """Tell the receiver something, and take what it asks for."""
        event(link.receiver)
        for effect in link.receiver.effects():
            match effect:
                case e.Send() if link.alive:
                    link.down.append(encode(effect.message))
                case e.Close():
                    assert effect.code in HARMLESS, effect
                    if link.alive:
                        link.down.append(None)
                case e.Send():
                    pass
                case _:
                    if isinstance(effect, (e.Create, e.Resume)):
                        link.ids.pop(effect.ref, None)
                    self.jobs.append((link, effect))

    def may(self, job: tuple[Link, e.Effect]) -> bool:
        """Whether it can be done: a piece that came early waits until its upload is open."""
        link, effect = job
        return not isinstance(effect, e.Write) or bool(effect.upload_id) or effect.ref in link.ids

    def work(self, job: tuple[Link, e.Effect]) -> None:
        self.jobs.remove(job)
        link, effect = job
        assert not isinstance(effect, (e.Send, e.Close, e.Abort))
        if isinstance(effect, e.Write) and not effect.upload_id:
            effect = replace(effect, upload_id=link.ids[effect.ref] or "")
        try:
            answer = self._answer(effect)
        except LadingError as error:
            refusal = error
            if isinstance(effect, (e.Create, e.Resume)):
                link.ids[effect.ref] = None
            if isinstance(effect, e.Write):
                at, size = effect.slice_start, len(effect.data)
                self.tell(link, lambda r: r.refused(effect.ref, at, size, refusal))
            else:
                assert not isinstance(effect, e.Authenticate)
                self.tell(link, lambda r: r.failed(effect.ref, refusal, 0.0))
        else:
            self.tell(link, answer)
            if isinstance(effect, (e.Create, e.Resume)):
                link.ids[effect.ref] = self._opened

    def _answer(
        self, effect: e.Authenticate | e.Create | e.Resume | e.Write | e.Finish
    ) -> Callable[[Receiver], None]:
        if isinstance(effect, e.Authenticate):
            return lambda r: r.authenticated("ann", None, 0.0)
        if isinstance(effect, e.Create):
            shelf = Shelf(f"{len(self.store):024x}", effect.spec.size)
            self.store[shelf.id] = shelf
            self._opened = shelf.id
            stored = coverage([], shelf.size)
            return lambda r: r.opened(effect.ref, shelf.manifest, stored)
        if effect.upload_id not in self.store:
            raise Gone
        shelf = self.store[effect.upload_id]
        if isinstance(effect, e.Resume):
            self._opened = shelf.id
            seen = coverage(shelf.index, shelf.size)
            return lambda r: r.opened(effect.ref, shelf.manifest, seen)
        if isinstance(effect, e.Finish):
            shelf.finish(effect.size)
            return lambda r: r.completed(effect.ref, shelf.manifest, "/f")
        total = shelf.write(effect.slice_start, effect.data, effect.crc32c)
        at, size = effect.slice_start, len(effect.data)
        return lambda r: r.stored(effect.ref, at, size, total)
