"""The measures, in the order of the design's table of targets (page 6).

Each module has one function `measure(options)`; a new one is added to `MEASURES` and to nothing
else.
"""

from collections.abc import Callable

from bench.measure import Measure, Options
from bench.measures import (
    broken_line,
    browser_small,
    browser_upload,
    direct_s3,
    download_local,
    download_mongo,
    idle_connections,
    image_grid,
    image_uploads,
    images,
    long_line,
    many_pieces,
    many_uploads,
    move_s3,
    photos_line,
    range_ends,
    server_memory,
    server_processes,
    small_files,
    small_put,
    tus_patches,
    upload_local,
    upload_mongo,
)

MEASURES: tuple[Callable[[Options], Measure], ...] = (
    upload_mongo.measure,
    upload_local.measure,
    tus_patches.measure,
    download_mongo.measure,
    download_local.measure,
    server_memory.measure,
    many_uploads.measure,
    idle_connections.measure,
    many_pieces.measure,
    small_files.measure,
    range_ends.measure,
    server_processes.measure,
    browser_upload.measure,
    long_line.measure,
    broken_line.measure,
    photos_line.measure,
    small_put.measure,
    browser_small.measure,
    move_s3.measure,
    direct_s3.measure,
    images.measure,
    image_grid.measure,
    image_uploads.measure,
)

QUICK: tuple[Callable[[Options], Measure], ...] = (
    upload_mongo.measure,
    upload_local.measure,
    download_mongo.measure,
    download_local.measure,
    server_memory.measure,
    many_uploads.measure,
    idle_connections.measure,
    many_pieces.measure,
    small_files.measure,
    range_ends.measure,
    long_line.measure,
    small_put.measure,
)
"""Those of a quick run that names none: the others need browsers or a bucket, or take long."""
