"""The clock rate of a placed and routed design, from nextpnr's report."""

UNCLOCKED = "$PACKER_GND_NET"  # what clocks a multiplier whose registers are not used


def fmax(report: dict, multiplier_ns: float = 0.0) -> float:
    """In MHz, of the slowest clock; 0 where nextpnr counts no path. multiplier_ns: through a
    multiplier without registers. nextpnr counts the paths to it and from it alone, so the longest
    of both and what lies between must fit a cycle, too."""
    rates = [clock["achieved"] for clock in report["fmax"].values()]
    ends = {"to": 0.0, "from": 0.0}
    for path in report["critical_paths"]:
        for end in ends:
            if UNCLOCKED in path[end]:
                delay = sum(part["delay"] for part in path["path"])
                ends[end] = max(ends[end], delay)
    if multiplier_ns and all(ends.values()):
        rates.append(1000 / (sum(ends.values()) + multiplier_ns))
    return round(min(rates, default=0.0), 2)
