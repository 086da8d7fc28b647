"""The faults of page 5 of the design, run against real processes.

A module for each row of the table: what stays up while it runs (its world), and one trial. A few
trials run with all other tests; `scripts/faults` runs more of them and prints the table.
"""
