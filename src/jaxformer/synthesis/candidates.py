"""Execution-guided turns: of several candidates for a turn, the one whose effect most agree on.

Candidates that fail to parse or raise are dropped. The others are grouped by what can be observed
behind them, the program's variables and what it printed; the largest group wins, and in it the
likeliest candidate. Nothing of what is expected is known here. (Li et al., arXiv:2203.07814, choose
whole programs by agreement on inputs; here it is done turn by turn.)
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor

from jaxformer import sandbox
from jaxformer.synthesis import observe


def choose(
    programs: Sequence[str],
    logprobs: Sequence[float],
    limits: sandbox.Limits = sandbox.DEFAULT_LIMITS,
    *,
    unprotected: bool = False,
    threads: Executor | None = None,
) -> int:
    """Return which of several programs to go on with.

    Args:
        programs: The program up to this turn, with each candidate.
        logprobs: The log-probability of each candidate.
        limits: What each may use.
        unprotected: Run programs even where there is no sandbox.
        threads: Where programs run side by side; one after the other if not given.
    """
    different = list(dict.fromkeys(programs))

    def run(program: str) -> observe.Run:
        return observe.run(program, limits=limits, state=True, unprotected=unprotected)

    runs = dict(zip(different, (threads.map if threads else map)(run, different), strict=True))
    groups: dict[tuple[str, str], list[int]] = {}
    for number, program in enumerate(programs):
        found = runs[program]
        if found.status == "ok":
            groups.setdefault((found.state, found.stdout), []).append(number)
    if not groups:
        parsed = [i for i, p in enumerate(programs) if not _no_python(runs[p])]
        return max(parsed or range(len(programs)), key=lambda i: logprobs[i])
    best = max(groups.values(), key=lambda group: (len(group), max(logprobs[i] for i in group)))
    return max(best, key=lambda i: logprobs[i])


def candidate_seed(seed: int, number: int) -> int:
    """Return the seed of a turn's candidate; the first has the turn's own."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") if number else seed


def _no_python(found: observe.Run) -> bool:
    return found.message.startswith(("SyntaxError", "IndentationError", "TabError"))
