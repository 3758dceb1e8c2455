"""Whether a design fits its device."""

import re
from pathlib import Path

_USED = re.compile(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)", re.MULTILINE)
Resources = dict[str, tuple[int, int]]  # used and available, by name


def utilization(log: Path) -> Resources:
    """What nextpnr says in its log, before it places."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return {name: (int(used), int(most)) for name, used, most in _USED.findall(text)}


def too_few(resources: Resources) -> str:
    """What is taken more of than there is, with the numbers and the remedy; empty if nothing."""
    over = [f"{used} {name} of {most}" for name, (used, most) in resources.items() if used > most]
    if not over:
        return ""
    return f"it takes {' and '.join(over)}; try a smaller array, fewer bits or a larger board"
