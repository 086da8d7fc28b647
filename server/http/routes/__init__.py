"""The routes: each reads a request, asks `uploads.py`, and writes the answer."""
