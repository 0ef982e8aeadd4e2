"""Draw a flame graph of folded stacks, as `py-spy record -f raw` writes them: `python benchmarks/_flame.py IN OUT.svg`.

Width is time, height is depth; a frame is as wide as it and all that it called took. Frames of less than half a percent
are left out. The picture is plain SVG without a script.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

WIDTH, ROW, LETTER = 1200.0, 17, 6.6
SHARE_MIN = 0.005
COLOURS = {
    "perdure_local": "#8ecae6",
    "perdure/worker": "#ffb703",
    "perdure/engine": "#fb8500",
    "perdure/replay": "#e76f51",
    "perdure/authoring": "#f4a261",
    "perdure/client": "#b5e48c",
    "perdure/hub": "#d9ed92",
    "asyncio": "#cdb4db",
}


class Frame:
    """A function as it was called from one place, and how many samples it was in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.samples = 0
        self.callees: dict[str, Frame] = {}


def read(text: str, *, below: str) -> Frame:
    """Read stacks, from the frame on whose name begins with `below`; those without it are left out."""
    root = Frame("all")
    for line in text.splitlines():
        stack, _, samples = line.rpartition(" ")
        names = [name.rpartition(":")[0] + ")" for name in stack.split(";")]
        start = next((place for place, name in enumerate(names) if name.startswith(below)), None)
        if start is None:
            continue
        frame = root
        frame.samples += int(samples)
        for name in names[start + 1 :]:
            frame = frame.callees.setdefault(name, Frame(name))
            frame.samples += int(samples)
    return root


def draw(root: Frame) -> str:
    """Draw it, callers below their callees."""
    boxes: list[tuple[float, int, Frame]] = []

    def place(frame: Frame, left: float, depth: int) -> None:
        boxes.append((left, depth, frame))
        for callee in sorted(frame.callees.values(), key=lambda each: each.name):
            if callee.samples >= SHARE_MIN * root.samples:
                place(callee, left, depth + 1)
            left += WIDTH * callee.samples / root.samples

    place(root, 0.0, 0)
    height = ROW * (1 + max(depth for _, depth, _ in boxes))
    shapes = [_box(left, height - ROW * (depth + 1), frame, root) for left, depth, frame in boxes]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height}" font-family="monospace">'
    return "\n".join([head, *shapes, "</svg>\n"])


def _box(left: float, top: int, frame: Frame, root: Frame) -> str:
    share = frame.samples / root.samples
    name = escape(f"{frame.name} {share:.1%}")
    label = escape(frame.name.partition(" (")[0][: int(WIDTH * share / LETTER)]) if WIDTH * share > 3 * LETTER else ""
    colour = next((colour for part, colour in COLOURS.items() if part in frame.name), "#e9ecef")
    return (
        f'<g><title>{name}</title><rect x="{left:.1f}" y="{top}" width="{WIDTH * share:.1f}" height="{ROW - 1}" '
        f'fill="{colour}"/><text x="{left + 2:.1f}" y="{top + 12}" font-size="11">{label}</text></g>'
    )


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(draw(read(source.read_text("utf-8"), below="BaseEventLoop._run_once")), "utf-8")
