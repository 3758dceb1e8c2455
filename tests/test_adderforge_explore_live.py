"""What is seen while it explores: on a terminal the Pareto set, elsewhere plain lines."""

from io import StringIO

from rich.console import Console

from adderforge.exploration.design import Design, DesignPoint
from adderforge.exploration.live import SHOWN, front_table, watching
from adderforge.exploration.objectives import checked
from adderforge.exploration.result import Step

GOALS = checked(["area_um2", "cycles"])


def points(count):
    return [
        DesignPoint(
            design=Design.of({"rows": n}), figures={"area_um2": 10.0 * n, "cycles": 100 - n}
        )
        for n in range(1, count + 1)
    ]


def seen(terminal, every=0.0):
    """What is printed of two steps."""
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, width=150)
    with watching(console, GOALS, every) as watch:
        for done in (1, 2):
            watch(Step(level=1, done=done, count=2, front=lambda: points(3)))
    return text.getvalue()


def test_a_terminal_shows_the_pareto_set_as_it_grows():
    text = seen(terminal=True)
    assert "synthesis: 2 of 2" in text and "area_um2" in text and "complement" in text


def test_elsewhere_there_are_plain_lines():
    assert seen(terminal=False) == "synthesis: 1 of 2\nsynthesis: 2 of 2\n"
    assert seen(terminal=False, every=60.0) == "synthesis: 2 of 2\n"


def test_a_long_set_is_cut_and_says_so():
    assert front_table(points(SHOWN + 5), GOALS, "").caption == "and 5 more"
