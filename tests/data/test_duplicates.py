"""Duplicates against slow, obvious references, and planted ones in real code."""

import hashlib
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import sources
from jaxformer.data import duplicates, minhash, workfiles
from jaxformer.data.ngrams import code_ngrams, count_words, word_ngrams

words = st.lists(st.sampled_from(["a", "bc", "d_1", "Ж", "7", "(", ")", "=", "\n", " ", "\t"]))
TOKEN = re.compile(r"[0-9A-Za-z_\u0080-\U0010ffff]+|[^\s]")


def slow_ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    tokens = TOKEN.findall(text)
    n = min(n, len(tokens))
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)} if n else set()


def slow_jaccard(left: str, right: str) -> float:
    a, b = slow_ngrams(left, 5), slow_ngrams(right, 5)
    return len(a & b) / len(a | b)


@given(words, words)
def test_ngrams_are_equal_exactly_where_their_tokens_are(left, right):
    left, right = " ".join(left), "".join(right)
    ours = code_ngrams(left), code_ngrams(right)
    slow = slow_ngrams(left, 5), slow_ngrams(right, 5)
    assert [len(x) for x in ours] == [len(x) for x in slow]
    assert len(np.intersect1d(*ours)) == len(slow[0] & slow[1])


@given(words, st.integers(1, 4))
def test_words_ignore_case_and_signs(parts, n):
    text = " ".join(parts)
    found = re.findall(r"[0-9a-z_\u0080-\U0010ffff]+", text.lower())
    assert count_words(text) == len(found)
    grams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
    ours = word_ngrams(text, n)
    assert len(ours) == len(grams)
    assert len(set(ours.tolist())) == len(set(grams))
    assert (word_ngrams(text.upper().replace(" ", " ,.; "), n) == ours).all() or "(" in text


def test_a_text_longer_than_a_piece_has_the_ngrams_of_its_parts():
    text = "".join(f"name_{i % 7919} = {i % 613}\n" for i in range(120_000))
    assert len(text) > 1 << 20
    assert len(code_ngrams(text)) == len(slow_ngrams(text, 5))


def test_signatures_estimate_the_similarity():
    rng = np.random.default_rng(0)
    for shared in (300, 600, 950):
        errors = []
        for _ in range(100):
            hashes = rng.integers(0, 1 << 64, 2000 - shared, np.uint64)
            sets = np.unique(hashes[:1000]), np.unique(hashes[-1000:])
            one, other = (minhash.signature(part) for part in sets)
            errors.append((one == other).mean() - minhash.jaccard(*sets))
        assert abs(np.mean(errors)) < 0.02
        assert np.std(errors) < 0.06


def corpus(folder: Path, units: list[list[str]]) -> list[Path]:
    """Leave what `read_unit` leaves of these texts."""
    paths = []
    for number, texts in enumerate(units):
        path = folder / f"{number:06d}.arrow"
        rows = [(str(i), "", "", len(t), "kept", "", t, None) for i, t in enumerate(texts)]
        workfiles.write_rows(path, rows)
        signatures = np.stack([minhash.signature(code_ngrams(text)) for text in texts])
        bands = np.zeros((len(texts), minhash.BANDS), duplicates.BAND)
        bands["hash"] = minhash.bands(signatures)
        bands["row"] = np.arange(len(texts))[:, None]
        np.save(path.with_suffix(".bands.npy"), np.sort(bands.ravel()))
        np.save(path.with_suffix(".minhash.npy"), signatures)
        digests = np.zeros(len(texts), duplicates.DIGEST)
        for row, text in enumerate(texts):
            head = np.frombuffer(hashlib.sha256(text.encode()).digest(), "<u8", 2)
            digests[row] = (*head, row)
        np.save(path.with_suffix(".digests.npy"), np.sort(digests))
        paths.append(path)
    return paths


def found_near(folder: Path, units: list[list[str]], ranges: int) -> set[tuple[int, int]]:
    paths = corpus(folder, units)
    (folder / "exact").mkdir(exist_ok=True)
    parts = [duplicates.near(paths, folder / "exact", n, ranges, 0.8) for n in range(ranges)]
    return {(int(f["unit"]), int(f["row"])) for part in parts for f in part}


def change(text: str, rate: float, rng: random.Random) -> str:
    """Return the text with some of its words replaced."""
    return re.sub(r"\w+", lambda m: f"new{rng.random():.6f}" if rng.random() < rate else m[0], text)


@pytest.mark.parametrize("ranges", [1, 5])
def test_planted_near_duplicates_are_found_and_unrelated_documents_stay(tmp_path, ranges):
    rng = random.Random(ranges)
    originals = [text for text in sources(".py", 260) if len(TOKEN.findall(text)) > 30]
    originals = list(dict.fromkeys(originals))
    planted, unlike = [], []
    for text in originals:
        changed = change(text, rng.uniform(0, 0.06), rng)
        if changed != text:
            (planted if slow_jaccard(text, changed) >= 0.8 else unlike).append(changed)
    assert len(planted) > 60
    assert len(unlike) > 30
    got = found_near(tmp_path, [originals, planted, unlike], ranges)
    recall = sum((1, row) in got for row in range(len(planted))) / len(planted)
    assert recall >= 0.95

    # Every one that goes is truly similar to one before it, by the slow definition.
    everything = [
        (unit, row) for unit, t in enumerate([originals, planted, unlike]) for row in range(len(t))
    ]
    texts = dict(zip(everything, [*originals, *planted, *unlike], strict=True))
    sets = {place: slow_ngrams(text, 5) for place, text in texts.items()}
    for place in got:
        best = max(
            len(sets[place] & sets[other]) / len(sets[place] | sets[other])
            for other in everything[: everything.index(place)]
        )
        assert best >= 0.8
    pairs = len(everything) * (len(everything) - 1) / 2
    wrong = [place for place in got if place[0] == 2]
    assert len(wrong) < 0.01 * pairs
    assert len(wrong) < 0.1 * len(unlike)  # only by chance like another document


def test_a_crowd_of_similar_documents_hides_no_duplicates(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 20)
    rng = random.Random(0)
    common = [f"field_{i} = read({i}, 'label {i}')" for i in range(60)]

    def member(number: int) -> str:
        own = [f"extra_{number}_{i} = {rng.random()}" for i in range(22)]
        return "\n".join(sorted([*common, *own], key=lambda line: hash_of(line)))

    crowd = [member(number) for number in range(300)]
    pairs = [member(1000 + number) for number in range(40)]
    copies = [text + "\nlast = 1\n" for text in pairs]
    assert slow_jaccard(crowd[0], crowd[1]) < 0.8 < slow_jaccard(pairs[0], copies[0])
    got = found_near(tmp_path, [crowd + pairs, copies], 2)
    assert got == {(1, row) for row in range(len(copies))}


def hash_of(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def test_short_documents_are_found_too(tmp_path):
    rng = random.Random(0)
    firsts, seconds = [], []
    while len(firsts) < 200:
        names = [f"n{rng.randrange(10**6)}" for _ in range(rng.randrange(10, 24))]
        other = [*names, f"n{rng.randrange(10**6)}"]
        if slow_jaccard(" ".join(names), " ".join(other)) >= 0.8:
            firsts.append(" ".join(names))
            seconds.append(" ".join(other))
    got = found_near(tmp_path, [firsts, seconds], 1)
    assert len(got) >= 0.98 * len(seconds)


units_of_texts = st.lists(
    st.lists(st.sampled_from([f"text {i}" for i in range(6)]), max_size=6), min_size=1, max_size=5
)


@given(units=units_of_texts, ranges=st.integers(1, 4))
def test_exact_duplicates_are_all_but_the_first(tmp_path_factory, units, ranges):
    folder = tmp_path_factory.mktemp("exact")
    files = []
    for number, texts in enumerate(units):
        digests = np.zeros(len(texts), duplicates.DIGEST)
        for row, text in enumerate(texts):
            digests[row] = (*np.frombuffer(hashlib.sha256(text.encode()).digest(), "<u8", 2), row)
        files.append(folder / f"{number}.npy")
        np.save(files[-1], np.sort(digests))
    got = np.concatenate([duplicates.exact(files, n, ranges) for n in range(ranges)])
    first, want = {}, set()
    for unit, texts in enumerate(units):
        for row, text in enumerate(texts):
            if text in first:
                want.add((unit, row, *first[text]))
            first.setdefault(text, (unit, row))
    assert {tuple(map(int, found)) for found in got} == want
    np.save(folder / "all.npy", np.sort(got))
    (folder / "found").mkdir()
    (folder / "all.npy").rename(folder / "found" / "0.npy")
    for unit in range(len(units)):
        rows = duplicates.rows_found(folder / "found", unit)["row"].tolist()
        assert rows == sorted(row for u, row, *_ in want if u == unit)
