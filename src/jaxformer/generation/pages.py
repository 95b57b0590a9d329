"""Keys and values of histories that were read before, in pages that equal beginnings share.

A page holds the keys and values of `PAGE` tokens in all layers. It is known by these tokens and the
page before it, so whatever begins with the same tokens finds the same pages: samples of one prompt,
the next turn of a conversation, a fork of it, a conversation of which a turn was taken back. Pages
are never changed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxformer.model import Cache, CodeGenConfig, Params
from jaxformer.model.inference import empty_cache
from jaxformer.model.sharding import bytes_on_each

PAGE = 32
"""Tokens of a page."""


@dataclass(eq=False)
class Page:
    """Keys and values of some tokens after a certain history."""

    before: "Page | None"
    tokens: tuple[int, ...]
    data: jax.Array
    """`[2 · layers, heads, PAGE, head_dim]`, a layer's keys before its values."""
    following: int = 0
    """Pages that go on from this one."""


class Pages:
    """As many pages as there is room for; those unused for longest make room."""

    def __init__(self, limit: int) -> None:
        """Begin without pages.

        Args:
            limit: How many pages to keep; with none, nothing is kept.
        """
        self._limit = limit
        self._pages: OrderedDict[tuple[Page | None, tuple[int, ...]], Page] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pages)

    def find(self, tokens: Sequence[int]) -> list[Page]:
        """Return the pages of the longest known beginning, in order."""
        found: list[Page] = []
        for piece in _pieces(tokens):
            page = self._pages.get((found[-1] if found else None, piece))
            if page is None:
                break
            found.append(page)
        self._touch(found)
        return found

    def keep(self, cache: Cache, row: int, tokens: Sequence[int]) -> None:
        """Keep what a row of a cache holds for these tokens, but for an unfinished last page."""
        chain = self.find(tokens)
        pieces = _pieces(tokens)[len(chain) : self._limit]
        if not pieces:
            return
        places = np.arange(1 << (len(pieces) - 1).bit_length()) + len(chain)
        for piece, data in zip(pieces, _cut(cache, row, places), strict=False):
            before = chain[-1] if chain else None
            page = Page(before, piece, data)
            self._pages[before, piece] = page
            if before:
                before.following += 1
            chain.append(page)
        self._touch(chain)
        while len(self._pages) > self._limit:
            self._drop()

    def _drop(self) -> None:
        """Forget the page unused for longest of those from which none goes on."""
        key, page = next(item for item in self._pages.items() if not item[1].following)
        del self._pages[key]
        if page.before:
            page.before.following -= 1

    def _touch(self, chain: Sequence[Page]) -> None:
        """Note the use of pages, so that each counts as used later than those behind it."""
        for page in reversed(chain):
            self._pages.move_to_end((page.before, page.tokens))


def page_bytes(params: Params, config: CodeGenConfig) -> int:
    """Return the memory of one page, on each of the devices that share it."""
    return bytes_on_each(empty_cache(params, config, 1, PAGE))


def load(cache: Cache, pages: Sequence[Page]) -> Cache:
    """Put pages into a cache of one row, from its first slot on; return the new one."""
    if not pages:
        return cache
    count = min(1 << (len(pages) - 1).bit_length(), cache[0]["k"].shape[2] // PAGE)
    # Few numbers of pages to compile for; what is too much is overwritten before it is seen.
    padded = [*pages, *[pages[0]] * (count - len(pages))]
    return _load(cache, [page.data for page in padded])


def _pieces(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    starts = range(0, len(tokens) - PAGE + 1, PAGE)
    return [tuple(tokens[start : start + PAGE]) for start in starts]


@partial(jax.jit, donate_argnums=0)
def _load(cache: Cache, pages: list[jax.Array]) -> Cache:
    whole = jnp.concatenate(pages, axis=2)
    leaves, structure = jax.tree.flatten(cache)
    filled = [
        slots.at[0, :, : found.shape[1]].set(found)
        for slots, found in zip(leaves, whole, strict=True)
    ]
    return jax.tree.unflatten(structure, filled)


@jax.jit
def _cut(cache: Cache, row: jax.Array, places: jax.Array) -> list[jax.Array]:
    """Return the pages at the given places of a row; places past its end give what comes first."""

    def cut(slots: jax.Array) -> jax.Array:
        heads, whole = slots.shape[1], slots.shape[2] // PAGE * PAGE
        pages = slots[row, :, :whole].reshape(heads, -1, PAGE, slots.shape[3])
        return pages.at[:, places].get(mode="clip").swapaxes(0, 1)

    return list(jnp.stack([cut(slots) for slots in jax.tree.leaves(cache)], axis=1))
