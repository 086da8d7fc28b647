"""tuspyserver on uvicorn: `python tuspyserver_app.py DIRECTORY PORT`.

Run by the interpreter that has it, not by Lading's.
"""

from __future__ import annotations

import sys

import uvicorn


def main(directory: str, port: str) -> None:
    """Serve until told to stop, with uvicorn as Lading runs it."""
    # mypy runs in Lading's environment, which has neither; nor could this module be imported there.
    from fastapi import FastAPI  # type: ignore[import-not-found]
    from tuspyserver import create_tus_router  # type: ignore[import-not-found]

    app = FastAPI()
    app.include_router(create_tus_router(prefix="files", files_dir=directory))
    uvicorn.run(
        app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning", loop="uvloop"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
