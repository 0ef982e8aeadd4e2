"""`python -m perdure_conformance run ...` is `perdure conformance run ...`."""

from __future__ import annotations

import sys

__all__ = ["main"]

NEEDED = frozenset({"click", "rich"})


def main() -> int:
    """Run the command on the arguments of the process and give the exit code."""
    try:
        from perdure_conformance._run.command import conformance  # noqa: PLC0415 - what it needs may be missing
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        sys.stderr.write(f"perdure: the command line needs {package}: pip install 'perdure-conformance[cli]'\n")
        return 2
    return conformance.run()


if __name__ == "__main__":
    sys.exit(main())
