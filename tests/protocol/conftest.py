"""Hypothesis for this room: a busy machine is no reason to fail, and a failure can be repeated."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("protocol", deadline=None, print_blob=True)
settings.load_profile("protocol")
