"""Lading and its peers side by side: `python -m bench`, or `scripts/bench`, which installs first.

Source: page 6 of the design. What is measured is in `measures/`, one module for each measure.
"""
