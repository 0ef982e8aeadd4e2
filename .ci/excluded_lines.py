"""Print every line that `# pragma: no cover` takes out of the count; fail above five, or where one gives no reason.

Usage: python .ci/excluded_lines.py FOLDER...
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

LINES_MAX = 5
PRAGMA = re.compile(r"#\s*pragma:\s*no (?:cover|branch)\b[\s:,-]*(?P<reason>.*)")


def excluded(source: str) -> list[tuple[int, str]]:
    """List the excluded lines with their reasons: a pragma on a `def` or `if` takes the whole block.

    Returns:
        Line number and reason, in order, each line once.
    """
    searched = ((number, PRAGMA.search(line)) for number, line in enumerate(source.splitlines(), 1))
    marks = {number: found["reason"] for number, found in searched if found}
    blocks = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    lines: dict[int, str] = {}
    for mark, reason in marks.items():
        ends = [block.end_lineno or mark for block in blocks if block.lineno == mark]
        lines.update(dict.fromkeys(range(mark, max([mark, *ends]) + 1), reason))
    return sorted(lines.items())


def main(folders: list[str]) -> int:
    """Print the lines and judge them.

    Returns:
        The exit code: 0 when all is well.
    """
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    found = [(file, number, reason) for file in files for number, reason in excluded(file.read_text("utf-8"))]
    for file, number, reason in found:
        print(f"{file}:{number}: {reason or 'NO REASON GIVEN'}")
    print(f"{len(found)} lines excluded from coverage, {LINES_MAX} allowed")
    return int(len(found) > LINES_MAX or not all(reason for _, _, reason in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
