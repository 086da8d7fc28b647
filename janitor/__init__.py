"""The janitor: what becomes of uploads that nobody finishes, and of what was deleted.

`policy.py` decides and is pure; `sweep.py` acts; `verify.py` audits; `loop.py` keeps one janitor
at work among many processes.
"""
