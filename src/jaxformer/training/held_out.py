"""The loss on rows that training never reads, by language."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxformer.data.rows import Rows, row, stack
from jaxformer.model import CodeGenConfig, Params
from jaxformer.training.devices import fetch, place, rows_of_host
from jaxformer.training.loss import cut, token_losses
from jaxformer.training.sources import Opened, languages_of
from jaxformer.training.step import Computation, Whole, states_of, tile_for

Evaluate = Callable[[Params, Any], dict[str, float]]


def make_held_out(
    sources: Sequence[Opened],
    config: CodeGenConfig,
    how: Computation,
    mesh: Mesh,
    context: int,
    batch: int,
    mask_documents: bool,
    whole: Whole,
) -> Evaluate | None:
    """Return what measures the held-out loss, or None where nothing is held out.

    Args:
        sources: Of a stage.
        config: The model's shape.
        how: As in training.
        mesh: Of the devices.
        context: Tokens a row.
        batch: Rows at a time; the last rows are filled up with padding.
        mask_documents: As in training.
        whole: As in `make_step`.

    Returns:
        A function of trained and frozen weights to nats a token, by source and language
        (`data/multi: java`), and for each source (`data/multi`).
    """
    if not any(len(source.held_out) for source in sources):
        return None
    names: dict[tuple[str, str], int] = {}
    numbered: list[tuple[Rows[np.ndarray], np.ndarray]] = []
    for source in sources:
        languages = languages_of(source).tolist()
        labels = {
            language: names.setdefault((source.name, language), len(names))
            for language in languages or [""]
        }
        by_ledger = np.array([labels[language] for language in languages], np.int64)
        for number in range(len(source.held_out)):
            stretch = source.held_out.stretch(number)
            one = row(stretch, context, mask_documents)
            label = np.full((1, context), labels.get("", 0))
            if len(by_ledger):
                origins = source.held_out.origins(number)[1 : context + 1]
                label[0, : len(origins)] = by_ledger[origins]
            numbered.append((one, label))
    empty = jax.tree.map(np.zeros_like, numbered[0][0])._replace(
        positions=np.full_like(numbered[0][0].positions, -1)
    )
    numbered += [(empty, np.zeros((1, context), np.int64))] * (-len(numbered) % batch)
    share, shares = rows_of_host(mesh, batch)

    @jax.jit
    def measure(params: Params, frozen: Any, rows: Rows[Any]) -> jax.Array:
        complete = whole(frozen, params)
        states, tile = states_of(complete, config, how, rows), tile_for(how, rows)
        parts = cut(states, tile), cut(rows.targets, tile)
        found = jax.lax.map(
            lambda part: token_losses(complete, part[0], part[1], how.multiply)[0], parts
        )
        return found.swapaxes(0, 1).reshape(batch, -1)[:, :context]

    def evaluate(params: Params, frozen: Any) -> dict[str, float]:
        sums, counts = np.zeros(len(names)), np.zeros(len(names))
        for first in range(0, len(numbered), batch):
            chosen = numbered[first : first + batch]
            rows = stack([one for one, _ in chosen])
            labels = np.concatenate([label for _, label in chosen])
            own = slice(share * (batch // shares), (share + 1) * (batch // shares))
            mine = place(Rows(*(x[own] for x in rows)), mesh)
            with jax.set_mesh(mesh):
                found = fetch(measure(params, frozen, mine))
            counted = rows.weights > 0
            sums += np.bincount(labels[counted], found[counted], len(names))
            counts += np.bincount(labels[counted], minlength=len(names))
        result: dict[str, float] = {}
        for name in dict.fromkeys(name for name, _ in names):
            own = [number for (other, _), number in names.items() if other == name]
            if counts[own].sum():
                result[name] = sums[own].sum() / counts[own].sum()
        fine = {
            f"{name}: {language}": sums[number] / counts[number]
            for (name, language), number in names.items()
            if language and counts[number]
        }
        return {name: float(loss) for name, loss in (result | fine).items()}

    return evaluate
