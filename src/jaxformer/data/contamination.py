"""Decontamination: nothing of a benchmark may be in the training data.

A document goes when it shares `n` words in a row with a problem, case, signs and white space aside
(10 words, as Qwen2.5-Coder's report does), or when it holds two of the problem's shorter texts
whole: prompts, say, with code between them. A problem of one short text counts whole. Words in a
row of which more than half are numbers do not count: inputs such as `[0, 1, 0, 0, …]` say nothing.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from jaxformer.data.ngrams import count_words, in_a_row, word_codes, word_ngrams
from jaxformer.data.sources.files import Refused, locate, read_regular
from jaxformer.errors import UserError

_BITS = 20
_NAME = re.compile(r"{(\w+)}")
_WORD = re.compile(r"[0-9a-z_\u0080-\U0010ffff]+")
SHORTEST = 5
"""Words that a short problem must have to be looked for."""


@dataclass(frozen=True)
class Problem:
    """One problem of a benchmark: its name, and every text in it."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Benchmarks:
    """All problems of which nothing may be in the data."""

    problems: tuple[Problem, ...]
    files: dict[str, str]
    """SHA-256 by name of the benchmark."""
    ngram: int

    @cached_property
    def _grams(self) -> dict[int, "_Grams"]:
        """What is looked for, by length in words."""
        found: dict[int, list[tuple[str, int]]] = {}
        for number, problem in enumerate(self.problems):
            lengths = [
                count_words(text) if _tells(text, self.ngram) else 0 for text in problem.texts
            ]
            n = min(self.ngram, max(lengths, default=0))
            for text, length in zip(problem.texts, lengths, strict=True):
                if length >= n >= SHORTEST and _tells(text, n):
                    found.setdefault(n, []).append((text, number))
        return {n: _Grams.of(n, texts) for n, texts in sorted(found.items())}

    def find(self, texts: Sequence[str]) -> list[str | None]:
        """Return for each text the name of a problem of which something is in it, or None."""
        # Nearly always nothing is found, and one cheap look at all texts is enough to know.
        codes = word_codes("\n".join(text if text.isascii() else text.lower() for text in texts))
        long = any(grams.possible(codes) for grams in self._grams.values())
        short = self._shorts is not None and self._shorts.possible(codes)
        if not long and not short:
            return [None] * len(texts)
        found = [self._find(text) if long else None for text in texts]
        return [
            self._find_shorts(text) if short and problem is None else problem
            for problem, text in zip(found, texts, strict=True)
        ]

    @cached_property
    def _short_texts(self) -> list[tuple[int, list[str]]]:
        """The words of the short texts of each problem that has more than one."""
        found = []
        for number, problem in enumerate(self.problems):
            lengths = {text: count_words(text) for text in dict.fromkeys(problem.texts)}
            shorts = [
                text
                for text, n in lengths.items()
                if SHORTEST <= n < self.ngram and _tells(text, n)
            ]
            words = list(dict.fromkeys(_words(text) for text in shorts))
            if len(words) > 1:
                found.append((number, words))
        return found

    @cached_property
    def _shorts(self) -> "_Grams | None":
        """The beginnings of all short texts."""
        texts = [
            (" ".join(text.split()[:SHORTEST]), number)
            for number, shorts in self._short_texts
            for text in shorts
        ]
        return _Grams.of(SHORTEST, texts, every=True) if texts else None

    def _find_shorts(self, text: str) -> str | None:
        if self._shorts is None or self._shorts.owner(text) is None:
            return None
        words = _words(text)
        for number, shorts in self._short_texts:
            if sum(short in words for short in shorts) > 1:
                return self.problems[number].name
        return None

    def _find(self, text: str) -> str | None:
        owners = (grams.owner(text) for grams in self._grams.values())
        owner = next((number for number in owners if number is not None), None)
        return None if owner is None else self.problems[owner].name


def _words(text: str) -> str:
    """Return the words of a text as `word_ngrams` sees them, each between two spaces."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _tells(text: str, n: int) -> bool:
    """Tell whether any n words in a row, or all if there are fewer, count."""
    n = min(n, count_words(text))
    return n > 0 and bool(_telling(text, n).any())


def _telling(text: str, n: int) -> np.ndarray:
    """Return for each n words in a row whether at most half of them are numbers."""
    numbers = np.array([word.isdigit() for word in _WORD.findall(text.lower())], int)
    before = np.concatenate([[0], np.cumsum(numbers)])
    return 2 * (before[n:] - before[:-n]) <= n


@dataclass(frozen=True)
class _Grams:
    """All n words in a row of some problems."""

    n: int
    hashes: np.ndarray
    """Sorted uint64."""
    owners: np.ndarray
    """The number of the problem that each is of."""
    codes: np.ndarray
    """The same of the words' codes, sorted."""
    seen: np.ndarray
    """By the first bits of such a hash, whether there is any."""

    @classmethod
    def of(cls, n: int, texts: list[tuple[str, int]], *, every: bool = False) -> "_Grams":
        telling = [_telling(text, n) | every for text, _ in texts]
        parts = [word_ngrams(text, n)[t] for (text, _), t in zip(texts, telling, strict=True)]
        owners = np.repeat([number for _, number in texts], [len(part) for part in parts])
        hashes, first = np.unique(np.concatenate(parts), return_index=True)
        codes = [
            in_a_row(word_codes(x.lower()), n)[t] for (x, _), t in zip(texts, telling, strict=True)
        ]
        codes = np.unique(np.concatenate(codes))
        seen = np.zeros(1 << _BITS, bool)
        seen[codes >> np.uint64(64 - _BITS)] = True
        return cls(n, hashes, owners[first], codes, seen)

    def possible(self, codes: np.ndarray) -> bool:
        """Tell whether words of such codes may hold any of the grams."""
        grams = in_a_row(codes, self.n)
        grams = grams[self.seen[grams >> np.uint64(64 - _BITS)]]
        places = np.minimum(np.searchsorted(self.codes, grams), len(self.codes) - 1)
        return bool((self.codes[places] == grams).any())

    def owner(self, text: str) -> int | None:
        """Return the number of a problem that shares n words in a row with the text, or None."""
        ours = word_ngrams(text, self.n)
        places = np.minimum(np.searchsorted(self.hashes, ours), len(self.hashes) - 1)
        hits = self.hashes[places] == ours
        return int(self.owners[places[hits.argmax()]]) if hits.any() else None


def read_benchmarks(patterns: Sequence[str], ngram: int) -> Benchmarks:
    """Read the package's own benchmarks and those that the user names.

    Args:
        patterns: JSONL files (also `.gz`), JSON files with a list, or plain text; `*` matches.
        ngram: Words in a row that count as overlap.

    Raises:
        UserError: If a pattern matches no file, or a file cannot be read.
    """
    own = Path(str(resources.files("jaxformer") / "embedded" / "benchmarks"))
    files = [path for path in sorted(own.rglob("*")) if path.is_file()]
    for pattern in patterns:
        files += [Path(path) for path, _ in locate(pattern)]
    problems: list[Problem] = []
    digests = {}
    for path in files:
        name = path.relative_to(own).as_posix() if path.is_relative_to(own) else path.name
        try:
            data = read_regular(str(path))
            content = gzip.decompress(data) if path.suffix == ".gz" else data
            problems += _problems(name, content.decode("utf-8"))
        except Refused as refused:
            raise UserError(f"The benchmark {path} cannot be read: {refused.detail}.") from refused
        except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
            raise UserError(f"The benchmark {path} cannot be read: {error}.") from error
        # A folder of the package's is one benchmark.
        whole = name.split("/")[0] if path.is_relative_to(own) else name
        digests.setdefault(whole, hashlib.sha256()).update(data)
    files_read = {name: digest.hexdigest() for name, digest in digests.items()}
    return Benchmarks(tuple(problems), files_read, ngram)


def load_benchmarks(path: Path) -> Benchmarks:
    """Read benchmarks that were put together in one JSON file (`asdict`)."""
    written = json.loads(path.read_text("utf-8"))
    problems = (Problem(found["name"], tuple(found["texts"])) for found in written["problems"])
    return Benchmarks(tuple(problems), written["files"], written["ngram"])


def _problems(name: str, content: str) -> Iterator[Problem]:
    bare = name.removesuffix(".gz")
    if bare.endswith(".jsonl"):
        records = [json.loads(line) for line in content.split("\n") if line.strip()]
    elif bare.endswith(".json"):
        parsed = json.loads(content)
        records = parsed if isinstance(parsed, list) else [parsed]
    else:
        lines = [line for line in content.split("\n") if not line.startswith("#!")]
        yield Problem(name, ("\n".join(lines), *lines))
        return
    for number, record in enumerate(records, 1):
        texts = (text.encode("utf-8", "replace").decode() for text in _texts(record))
        yield Problem(f"{name}:{number}", tuple(texts))


def _texts(value: Any) -> Iterator[str]:
    """Yield every string within a record, and lists of strings as one text.

    Prompts that are templates come with each case's values filled in, too.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        strings = [item for item in value if isinstance(item, str)]
        if len(strings) > 1:
            yield "\n".join(strings)
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
        prompts, cases = value.get("prompts"), value.get("inputs")
        if isinstance(prompts, list) and isinstance(cases, list):
            for case in cases:
                filled = [_fill(prompt, case) for prompt in prompts]
                yield "\n".join(filled)
                yield from filled


def _fill(prompt: Any, case: Any) -> str:
    """Put a case's values for the names in braces."""
    values = case if isinstance(case, dict) else {}
    return _NAME.sub(lambda match: str(values.get(match[1], match[0])), str(prompt))
