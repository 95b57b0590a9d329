"""How pages look: one style sheet, plots in its colours, one HTML file that needs nothing else."""

import importlib.util
import io
import re
import warnings
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jaxformer.errors import UserError

COLOURS = {
    "ink": "#010101",
    "muted": "#010102",
    "grid": "#010103",
    "accent": "#010104",
    "loss": "#010105",
}
"""Stand for the variables of the style sheet, which knows light from dark."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jaxformer",
    "text.parse_math": False,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grid"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "font.family": "DejaVu Sans",
    "font.size": 9,
}


def require_plots() -> None:
    """Check that what draws pages is installed, before long work whose end is a page.

    Raises:
        UserError: If matplotlib or Jinja is not installed.
    """
    for name in ("matplotlib", "jinja2", "markupsafe"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"The package {name} is missing; pip install 'jaxformer[report]'.")


def render(
    package: str,
    template: str,
    plots: Mapping[str, Callable[[], Any]],
    filters: Mapping[str, Callable[..., str]],
    **values: Any,
) -> str:
    """Return a page; all text in it is escaped.

    Args:
        package: Where the template is.
        template: A file for Jinja; it finds the style sheet as `style`.
        plots: What draws each of the template's `plots`, as a matplotlib figure.
        filters: Of the template.
        values: What else the template needs.

    Raises:
        UserError: If matplotlib or Jinja is not installed.
    """
    require_plots()
    import jinja2
    import matplotlib as mpl
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= filters
    text = (resources.files(package) / template).read_text("utf-8")
    style = (resources.files("jaxformer.data") / "page.css").read_text("utf-8")
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        drawn = {name: Markup(_svg(draw())) for name, draw in plots.items()}
    return environment.from_string(text).render(style=Markup(style), plots=drawn, **values)


def _svg(figure: Any) -> str:
    """Return a figure as an element of a page, in the page's colours and type."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True)
    drawn = file.getvalue()
    for name, colour in COLOURS.items():
        drawn = drawn.replace(colour, f"var(--{name})")
    box = re.search(r'viewBox="([\d. ]+)"', drawn)
    # Identifiers of groups would not be unique on the page; those of shapes and clips are hashes.
    body = re.sub(r'<g id="[a-z]\w*_\d+">', "<g>", drawn[drawn.index('<g id="figure_1">') :])
    return f'<svg viewBox="{box[1] if box else ""}" role="img">{body}'
