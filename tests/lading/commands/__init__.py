"""Tests of the commands, against a real server."""
