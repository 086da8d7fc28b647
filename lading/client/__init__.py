"""The Python client. Its public names are exported by `lading`.

client      Client, the public class; library, access, events, overview: its parts
blocking    SyncClient, the same without an event loop
types       what their methods return: File, Manifest, Upload, Usage, Grant, Progress
upload      one upload over many connections; phase: its states; lookup: what is stored already
transfer    one upload on one connection, whichever that is:
channel     a WebSocket; http_channel: plain HTTP in its place; transport: which of the two
download    one download; target: the file or pipe that it is written to; links: from elsewhere
source      the bytes of an upload; local: files and pipes; fingerprint: recognizes a file
api         HTTP requests; address: server and token; profiles: those of `lading login`
proxy       the environment's proxy
retry       the one rule for trying again; backoff: the pauses between, and the pace of bytes
errors      the errors that no server sends
"""
