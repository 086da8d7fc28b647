"""tuspyserver on uvicorn: `python tuspyserver_app.py DIRECTORY PORT`.

The bench runs it by an interpreter of its own, so that its dependencies are apart from Lading's.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router


def main(directory: str, port: str) -> None:
    """Serve until told to stop, with uvicorn as Lading runs it."""
    app = FastAPI()
    app.include_router(create_tus_router(prefix="files", files_dir=directory))
    uvicorn.run(
        app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning", loop="uvloop"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
