"""Tests of the pure protocol: nothing here opens a socket or waits."""
