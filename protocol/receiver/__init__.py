"""The server's side of one `lading.v1` connection, without the connection.

Events come in: a message of the client, an answer of the driver, the time. Effects go out: a
message to send, a piece to store, a close. The driver carries the effects out in order, at its own
pace, and reports each answer as an event. So every rule of page 3 about order, credit and deadlines
is here, and a test needs no socket, no store and no clock.

    transitions   which event may come in which state, for the connection and for an upload
    timers        the deadlines, each with a name
    window        the credit in bytes
    growth        how much of it the line can use
    uploads       what each `ref` stands for, and what waits for what
    outbox        the effects that the driver has not taken yet
    machine       the Receiver, which joins them

Three ideas carry it:

- **Store, then answer.** STORED leaves only through `Receiver.stored()`, which the driver calls
  when the piece is durable.
- **One request at a time for a `ref`.** An answer names only the `ref`, so FINISH, ABORT and DETACH
  wait for the pieces in flight and for the request before them, and a `ref` that is used again
  waits for its old pieces.
- **One credential at a time.** While a TOKEN is checked, later requests wait for the result: they
  belong to the new credential. Pieces, acknowledgements and heartbeats do not wait, except behind a
  CREATE that does: its pieces may follow it, so nothing more is read. Of several TOKENs that come
  meanwhile, the last one is checked next.

Source: page 3 of the design.
"""

from lading.protocol.receiver.limits import ReceiverLimits
from lading.protocol.receiver.machine import Receiver
from lading.protocol.receiver.transitions import Connection, IllegalEvent, Upload

__all__ = ["Connection", "IllegalEvent", "Receiver", "ReceiverLimits", "Upload"]
