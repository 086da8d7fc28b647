"""The Python client. `from lading import Client` is its public name."""
