"""Pages for people without an account: what a link leads to, and why one does not work.

They are made on the server, without scripts. Nothing of the owner is on them.
Source: page 13 of the design, "Sharing".
"""
