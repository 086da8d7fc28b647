"""What is counted and measured, and how Prometheus reads it; the only room that knows its library.

`meters.py` has every metric that grows as things happen: the other rooms report by plain functions.
`state.py` has what is looked up when somebody asks. `processes.py` adds several processes up, and
`exposition.py` writes it all. No label is an id, a user or a path. Source: page 12 of the design;
docs/decisions/0053.
"""
