"""A survey as a page: one HTML file that needs nothing else."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxformer.data import look
from jaxformer.data.look import COLOURS
from jaxformer.data.survey import Group, Lengths, Survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = 12
"""Most bars of a plot; what is smaller is one bar."""
WIDTH = 5.6
"""Of a plot, in inches."""


def render(survey: Survey) -> str:
    """Return the page; all text of the data is escaped in it.

    Raises:
        UserError: If matplotlib or Jinja is not installed.
    """
    rules = [loss.rule for loss in survey.losses]
    return look.render(
        "jaxformer.data",
        "page.html",
        _plots(survey),
        {"count": "{:,}".format, "size": size, "share": share},
        survey=survey,
        rules=rules,
        lost={
            source: {loss.rule: loss for loss in losses}
            for source, losses in survey.losses_by_source.items()
        },
        recipe=json.dumps(survey.recipe, indent=1, ensure_ascii=False),
    )


def size(count: float) -> str:
    """Return bytes as people write them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def short(count: float) -> str:
    """Return a count in three digits or so."""
    if count < 10_000:
        return f"{count:,.0f}"
    size, unit = next((pair for pair in ((1e9, "G"), (1e6, "M")) if count >= pair[0]), (1e3, "k"))
    return f"{count / size:,.{0 if count >= 100 * size else 1}f} {unit}"


def share(part: float, whole: float = 1) -> str:
    """Return a share in per cent."""
    return f"{part / whole:.1%}" if whole else "–"


# Plots


class _Bar(NamedTuple):
    name: str
    value: float
    note: str
    lost: float = 0
    """Follows the value in the colour of losses."""


def _plots(survey: Survey) -> dict[str, Callable[[], Any]]:
    return {
        "funnel": lambda: _bars(_funnel(survey)),
        "lengths": lambda: _histogram(survey.lengths),
        "languages": lambda: _bars(_shares(survey.languages)),
        "sources": lambda: _bars(_shares(survey.sources)),
        "licenses": lambda: _bars(_shares(survey.licenses)),
    }


def _funnel(survey: Survey) -> list[_Bar]:
    everything = survey.documents_in
    return [
        _Bar("came in", everything, short(everything)),
        *(
            _Bar(
                loss.rule,
                loss.documents_left,
                f"−{short(loss.documents)} ({share(loss.documents, everything)})",
                loss.documents,
            )
            for loss in survey.losses
        ),
        _Bar(
            "kept",
            survey.documents,
            f"{short(survey.documents)} ({share(survey.documents, everything)})",
        ),
    ]


def _shares(groups: Sequence[Group]) -> list[_Bar]:
    """Return bars of tokens, the largest first."""
    total = sum(group.tokens for group in groups)
    shown = [(group.name or "unknown", group.tokens) for group in groups]
    if len(shown) > BARS:
        rest = shown[BARS - 1 :]
        shown = [*shown[: BARS - 1], (f"{len(rest)} others", sum(tokens for _, tokens in rest))]
    return [_Bar(name, n, f"{short(n)} ({share(n, total)})") for name, n in shown]


def _bars(bars: Sequence[_Bar]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 0.15 + 0.29 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(bars))
    values = [bar.value for bar in bars]
    longest = max((bar.value + bar.lost for bar in bars), default=0) or 1
    axes.barh(places, values, 0.62, color=COLOURS["accent"])
    axes.barh(places, [bar.lost for bar in bars], 0.62, values, color=COLOURS["loss"])
    for place, bar in enumerate(bars):
        end = bar.value + bar.lost + 0.015 * longest
        axes.text(end, place, bar.note, va="center", color=COLOURS["muted"])
    axes.set_yticks(places, [_shortened(bar.name) for bar in bars], color=COLOURS["ink"])
    axes.set_xlim(0, 1.42 * longest)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    return figure


def _histogram(lengths: Sequence[Lengths]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure((WIDTH, 2.9), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(lengths))
    axes.bar(places, [bucket.documents for bucket in lengths], 0.86, color=COLOURS["accent"])
    axes.set_xticks(
        places,
        [_power(bucket.low) if place % 2 == 0 else "" for place, bucket in enumerate(lengths)],
    )
    axes.set_xlabel("tokens of a document, at least", color=COLOURS["muted"])
    axes.set_ylabel("documents", color=COLOURS["muted"])
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    return figure


def _power(number: int) -> str:
    """Return a power of two as people call it: 512, 4k, 1M."""
    for unit, name in ((1 << 20, "M"), (1 << 10, "k")):
        if number >= unit:
            return f"{number // unit}{name}"
    return str(number)


def _shortened(name: str, longest: int = 26) -> str:
    """Return a name without its middle if it is long."""
    line = " ".join(name.split())
    return line if len(line) <= longest else f"{line[: longest // 2]}…{line[-longest // 2 :]}"
