"""The command line: `perdure`, also as `python -m perdure`."""

from __future__ import annotations

import sys

__all__ = ["main"]

NEEDED = frozenset({"click", "rich"})


def main() -> int:
    """Run the command line on the arguments of the process and give the exit code; `perdure --help` lists them."""
    try:
        from perdure.cli._app import app  # noqa: PLC0415 - what it needs may be missing, and then we say so
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        sys.stderr.write(f"perdure: the command line needs {package}: pip install 'perdure-core[cli]'\n")
        return 2
    return app.run()
