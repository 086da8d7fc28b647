"""Uploads from a page in Chromium.

It becomes the Node program beside it, which drives the browser; what that takes and prints is told
there.
"""

from __future__ import annotations

import os
from pathlib import Path

PROGRAM = Path(__file__).with_name("browser.mjs")

if __name__ == "__main__":
    # The same process, so that it ends when the bench does, and Chromium with it.
    os.execvp("node", ["node", str(PROGRAM)])
