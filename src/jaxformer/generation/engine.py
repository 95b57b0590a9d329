"""The engine: requests flow through the rows of one decoding batch, each as if it were alone."""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.generation import draft, lookup
from jaxformer.generation.counters import Counters
from jaxformer.generation.decoding import bucket, decode, draw, moved, read, spread, verify
from jaxformer.generation.growing import Growing
from jaxformer.generation.pages import PAGE, Pages, load, page_bytes
from jaxformer.generation.requests import (
    Completion,
    OnText,
    Request,
    prompt_tokens,
    sampling_of,
)
from jaxformer.model import Cache
from jaxformer.model.inference import empty_cache
from jaxformer.model.memory import host_memory

ROWS = 16
"""Requests that are decoded at one time, at most, if nothing else is asked for."""
CHUNK = 8
"""Tokens decoded between two looks at the stop rules."""
MEMORY_SHARE = 1 / 8
"""Of the device's memory: what the pages of earlier histories may take."""


@dataclass(frozen=True)
class _Task:
    """One request on its way."""

    number: int
    request: Request
    prompt: tuple[int, ...]
    growing: Growing
    on_text: OnText | None

    @property
    def history(self) -> list[int]:
        return [*self.prompt, *self.growing.tokens]


@dataclass
class _Row:
    """A row of the batch with a request in it."""

    task: _Task
    token: int
    """The last one, which is not in the cache yet."""
    position: int
    """Its position, which is also how many tokens are in the cache."""
    ahead: draft.Ahead = field(default_factory=draft.Ahead)


_Advance = tuple[int, _Row, list[int], list[float]]
"""A row's place, the row, and its next tokens with their natural-log probabilities."""


class Engine:
    """Completes requests together, each with its own prompt, sampling, seed and stop rules.

    A request takes a row of the batch when one is free, and leaves it when its text is complete.
    Beginnings that were read before, by whatever request, are not read again (`pages.Pages`).
    It is made for one thread.
    """

    def __init__(
        self,
        model: Model,
        *,
        rows: int = ROWS,
        chunk: int = CHUNK,
        memory: float | None = None,
        speculate: bool = True,
    ) -> None:
        """Begin without requests.

        Args:
            model: The model.
            rows: Requests decoded at one time, at most.
            chunk: Tokens decoded between two looks at the stop rules.
            memory: Bytes for the pages of earlier histories; a share of the device's if not given.
            speculate: Whether tokens are guessed where that pays, by prompt look-up and by the
                model's draft if it has one. They are the same tokens either way, but for rounding
                on plain XLA.
        """
        if rows < 1 or chunk < 1:
            raise UserError(f"An engine needs a row and a token a chunk, not {rows} and {chunk}.")
        self.model = model
        self.counters = Counters()
        self._limit = rows
        self._lookup, self._speculate = lookup.Lookup(), speculate
        self._chunk = chunk
        smaller = model.draft if speculate else None
        size = sum(page_bytes(each.params, each.config) for each in (model, smaller) if each)
        pages = int((_share() if memory is None else memory) // size)
        self._pages = Pages(pages)
        self._draft = draft.Draft(smaller, model, pages) if smaller else None
        self._waiting: deque[_Task] = deque()
        self._finished: dict[int, Completion] = {}
        self._next = 0
        self._rows: list[_Row | None]
        self._cache: Cache
        self._release()

    @property
    def idle(self) -> bool:
        """Whether no request is waiting or half done."""
        return not self._waiting and not any(self._rows)

    def generate(
        self, requests: Sequence[Request], on_text: OnText | None = None
    ) -> list[Completion]:
        """Complete requests; each result is what the request alone would give.

        Args:
            requests: Any number, of any lengths.
            on_text: Called with a request's place among these and pieces of its text, as they
                become certain.

        Raises:
            UserError: If a prompt does not fit the context, or one of these is cancelled.
        """
        numbers: list[int] = []
        try:
            for place, request in enumerate(requests):
                shown = on_text and (lambda _, piece, place=place: on_text(place, piece))
                numbers.append(self.submit(request, shown))
            while not self._finished.keys() >= set(numbers):
                if self.idle:
                    raise UserError("A request was cancelled while its completion was waited for.")
                self._advance()
            return [self._finished[number] for number in numbers]
        finally:
            for number in numbers:
                self.cancel(number)
                self._finished.pop(number, None)

    def submit(self, request: Request, on_text: OnText | None = None) -> int:
        """Queue a request; `step` will return its completion under the number returned here.

        Raises:
            UserError: If its prompt does not fit the context.
        """
        prompt = tuple(prompt_tokens(self.model, request))
        number, self._next = self._next, self._next + 1
        room = self.model.config.n_positions - len(prompt)
        growing = Growing(request, self.model, room)
        self._waiting.append(_Task(number, request, prompt, growing, on_text))
        return number

    def cancel(self, number: int) -> None:
        """Forget a request, waiting or half done; unknown and finished ones are ignored."""
        for task in self._waiting:
            if task.number == number:
                self._waiting.remove(task)
                self.counters.cancelled += 1
                return
        for place, row in enumerate(self._rows):
            if row and row.task.number == number:
                self._rows[place] = None
                self.counters.cancelled += 1
                return

    def step(self) -> dict[int, Completion]:
        """Begin what waits, decode some tokens, and return what is complete, by number."""
        self._advance()
        finished, self._finished = self._finished, {}
        return finished

    def _advance(self) -> None:
        """Do one step's work; whatever breaks it, what is asked and what is finished stays."""
        for work in (self._begin, self._decode):
            self._take(work)

    def _take(self, work: Callable[[], list[_Advance]]) -> None:
        """Do some work, and add the tokens that it brings to the texts."""
        try:
            advanced = work()
        except BaseException:
            self._recover()
            raise
        for place, row, tokens, logprobs in advanced:
            growing = row.task.growing
            row.token, row.position = tokens[-1], row.position + len(tokens)
            growing.take(tokens, logprobs)
            if growing.result:
                self._pages.keep(self._cache, place, row.task.history[: row.position])
                self._rows[place] = None
                self.counters.finished += 1
                self.counters.new_tokens += len(growing.tokens)
                self._finished[row.task.number] = growing.result
        if not any(self._rows):
            self._release()
        for _, row, _, _ in advanced:  # last: the caller's code may raise, or cancel
            alive = row.task.number in self._finished or any(row is other for other in self._rows)
            if alive and row.task.on_text and (piece := row.task.growing.new_text()):
                row.task.on_text(row.task.number, piece)

    def _decode(self) -> list[_Advance]:
        """Return the next tokens of every busy row."""
        busy = [(place, row) for place, row in enumerate(self._rows) if row]
        if not busy:
            return []
        pairs = [self._guess(row, len(busy)) for _, row in busy]
        guesses = [guess for guess, _ in pairs]
        width, count = len(self._rows), 1 + max(map(len, guesses))
        count = 1 if count == 1 else self._chunk  # few shapes to compile for
        tokens = np.zeros((width, count), np.int32)
        positions = np.full((width, count), -1, np.int32)
        for (place, row), guess in zip(busy, guesses, strict=True):
            known = [row.token, *guess]
            tokens[place, : len(known)] = known
            positions[place, : len(known)] = row.position + np.arange(len(known))
        sampling = sampling_of([row.task.request if row else None for row in self._rows])
        if count == 1:
            self.counters.row_steps += width * self._chunk
            self.counters.busy_steps += len(busy) * self._chunk
            self._cache, ids, logprobs = decode(
                self.model, self._cache, tokens[:, 0], positions[:, 0], sampling, self._chunk
            )
            return [
                (place, row, ids[place].tolist(), logprobs[place].tolist()) for place, row in busy
            ]
        self._cache, ids, logprobs = verify(self.model, self._cache, tokens, positions, sampling)
        found = []
        for (place, row), (guess, learn) in zip(busy, pairs, strict=True):
            right = 0
            while right < len(guess) and guess[right] == ids[place, right]:
                right += 1
            if guess:
                learn(right)
                self.counters.guessed_tokens += len(guess)
                self.counters.accepted_tokens += right
            self.counters.row_steps += 1 + len(guess)
            self.counters.busy_steps += 1 + right
            made = slice(0, right + 1)
            found.append((place, row, ids[place, made].tolist(), logprobs[place, made].tolist()))
        return found

    def _guess(self, row: _Row, rows: int) -> tuple[list[int], Callable[[int], None]]:
        """Return tokens that may come next, and what wants to know how many were right."""
        most = min(self._chunk, row.task.growing.left) - 1
        if not self._speculate or rows > lookup.ROWS or most < 1:
            return [], self._lookup.learn
        history = row.task.history
        found = self._lookup.guess(history, most)
        if self._draft and (not found or self._draft.worth(rows) > self._lookup.worth):
            sampling = sampling_of([row.task.request])
            ahead = self._draft.guess(row.ahead, history, sampling, rows, most)
            if ahead:
                return ahead, partial(self._draft.learn, len(ahead))
        return found, self._lookup.learn

    def _empty(self, rows: int, slots: int) -> Cache:
        return empty_cache(self.model.params, self.model.config, rows, slots)

    def _release(self) -> None:
        """Give the batch's memory back."""
        self._rows, self._cache = [], []

    def _begin(self) -> list[_Advance]:
        """Give waiting requests the free rows, and return their first tokens."""
        busy = [place for place, row in enumerate(self._rows) if row]
        free = self._limit - len(busy)
        tasks = list(itertools.islice(self._waiting, free))
        if not busy and not tasks:
            return []
        self._fit(busy, tasks)
        for _ in tasks:
            self._waiting.popleft()
        empty = [place for place, row in enumerate(self._rows) if row is None]
        groups: dict[tuple[int, ...], list[tuple[int, _Row]]] = {}
        for task, place in zip(tasks, empty, strict=False):
            history = task.history
            self._rows[place] = row = _Row(task, history[-1], len(history) - 1)
            groups.setdefault(tuple(history), []).append((place, row))
        return [one for history, begun in groups.items() for one in self._read(history, begun)]

    def _fit(self, busy: Sequence[int], tasks: Sequence[_Task]) -> None:
        """Give the batch as many rows and slots as are needed, in powers of two.

        It grows at once, and loses slots only with rows or when three quarters are not needed:
        moving it costs about as much as a few tokens.
        """
        lengths = [self._rows[place].position + 1 for place in busy]  # pyright: ignore
        lengths += [len(task.history) for task in tasks]
        context = self.model.config.n_positions
        width = bucket(len(busy) + len(tasks), self._limit)
        slots = bucket(max(lengths) + self._chunk, context, 64)
        now = self._cache[0]["k"].shape[2] if self._cache else 0
        if width == len(self._rows) and slots <= now < 4 * slots:
            return
        order = np.array([*busy, *([0] * (width - len(busy)))], np.int32)
        if busy:
            self._cache = moved(self._cache, order, slots)
        else:
            self._cache = self._empty(width, slots)
        self._rows = [*(self._rows[place] for place in busy), *([None] * (width - len(busy)))]

    def _read(self, history: tuple[int, ...], begun: Sequence[tuple[int, _Row]]) -> list[_Advance]:
        """Read a history into rows of the batch, and return the first token of each."""
        slots = self._cache[0]["k"].shape[2]
        pages = self._pages.find(history[:-1])  # the last must be read, to know what follows
        known = PAGE * len(pages)
        one = load(self._empty(1, slots), pages)
        one, states = read(self.model, one, history[known:], known)
        assert states is not None
        self._pages.keep(one, 0, history)
        width, places = len(self._rows), [place for place, _ in begun]
        rows = np.zeros(width, np.int32)
        rows[: len(places)] = places
        self._cache = spread(self._cache, one, rows, np.int32(len(places)))
        self.counters.prompt_tokens += len(history) * len(places)
        self.counters.reused_tokens += known + len(history) * (len(places) - 1)

        size = bucket(len(begun), width)
        requests = [row.task.request for _, row in begun]
        sampling = sampling_of([*requests, *([None] * (size - len(requests)))])
        ids, logprobs = draw(self.model, states, len(history) - 1, sampling)
        return [
            (place, row, [int(token)], [float(logprob)])
            for (place, row), token, logprob in zip(begun, ids, logprobs, strict=False)
        ]

    def _recover(self) -> None:
        """Put everything back to be begun again: an array may have been lost on its way."""
        self._waiting.extendleft(row.task for row in reversed(self._rows) if row)
        self._release()


def generate(
    model: Model, requests: Sequence[Request], on_text: OnText | None = None
) -> list[Completion]:
    """Complete requests together, by an engine of their own; see `Engine.generate`."""
    return Engine(model).generate(requests, on_text)


def _share() -> float:
    """Return the bytes that pages may take."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return MEMORY_SHARE * (limit or host_memory())
