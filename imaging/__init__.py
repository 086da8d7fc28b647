"""Pictures of files: six webp sizes, posters of videos, covers of audio files, and their facts.

`worker.py` is what the server uses: it keeps child processes at work and answers their requests
for bytes. The decoders run in the child only (`child.py`), since they meet hostile bytes; the
server's process never imports them. This room knows bytes, and neither a database nor HTTP.
Source: page 10 of the design.
"""
