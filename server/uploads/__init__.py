"""The domain: what happens to an upload and to the file it becomes, the same for every transport.

Nothing here imports Starlette: a transport reads a request, calls this package and writes the
answer.
"""
