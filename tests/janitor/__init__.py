"""Tests of the janitor, on a real mongod with a clock of the test's own."""
