"""The faults of page 5 of the design, run against real processes.

Each row of the table has a module: what stays up while it runs (its setup), and one trial. A few
trials run with all other tests; `scripts/faults` runs more of them and prints the table.
"""
