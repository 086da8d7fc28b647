"""The measures, in the order of the design's table of targets (page 6).

Each module has one function `measure(quick)`; a new one is added to `MEASURES` and to nothing else.
"""

from collections.abc import Callable

from bench.measure import Measure
from bench.measures import server_memory, upload_mongo

MEASURES: tuple[Callable[[bool], Measure], ...] = (upload_mongo.measure, server_memory.measure)
"""Given whether it is to be quick, each makes its measure."""
