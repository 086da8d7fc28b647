"""Where the files of tests live that do not say it: in MongoDB, or in directories.

With `LADING_TEST_HOME=file` the whole suite runs against local homes, one for each database. Tests
that look into the documents for bytes fail then; all others must not.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from functools import cache

from lading.storage.homes import MONGO


def usual_home(database: str) -> str:
    """The home for the database of a name, or of an address that names one."""
    if os.environ.get("LADING_TEST_HOME") != "file":
        return MONGO
    name = (
        re.split(r"[/?]", database.partition("://")[2] + "/")[1] if "://" in database else database
    )
    return f"file://{_folder()}/{name or 'lading'}"


@cache
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="lading-homes-")
    atexit.register(shutil.rmtree, folder, True)
    return folder
