"""What a survey says of a data set is what was put into it."""

import json
import random
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from conftest import is_one_sentence
from jaxformer.data import page
from jaxformer.data import survey as surveys
from jaxformer.data.build import build
from jaxformer.data.page import render
from jaxformer.data.recipe import CorpusRecipe
from jaxformer.data.survey import Survey, survey
from jaxformer.errors import UserError
from jaxformer.tokenizer import Tokenizer

CONTEXT = 64
PROBLEM = "one fine day the quick brown fox jumped over seven lazy dogs"


@dataclass(frozen=True)
class Given:
    """A document of the corpus, and what must become of it."""

    source: str
    path: str
    language: str
    text: str
    verdict: str = "kept"
    size: int = -1

    @property
    def bytes(self) -> int:
        return len(self.text.encode()) if self.size < 0 else self.size


def function(seed: int, lines: int = 8) -> str:
    """Return Python like no other seed's."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrst", k=6)) for _ in range(lines)]
    body = "".join(f"    {word} = {rng.randrange(10**6)} * {word[::-1]}\n" for word in words)
    return f"def {words[0]}_{seed}({words[1]}):\n{body}    return {words[-1]}\n"


def transcript(turns: list[dict[str, str]]) -> tuple[str, list[bool]]:
    """Return a conversation's text, and of each character whether it belongs to a prompt."""
    text = "# Import libraries.\n\nimport numpy as np\n\n"
    marks = [True] * len(text)
    for turn in turns:
        prompt, code = f" {turn['prompt']}\n", f"{turn['code']}\n\n"
        text += f"#{prompt}{code}"
        marks += [False] + [True] * len(prompt) + [False] * len(code)
    return text, marks


TALKS = [
    [
        {"prompt": f"Set x to {n}.", "code": f"x = {n}"},
        {"prompt": "Print it " + "and again " * n, "code": f"print(x{' + x' * n})"},
    ]
    for n in range(3)
]
WILD = 'x = "<script>alert(1)</script> &amp; \x1b[2J $a_b$ é漢"\n'
SCRIPT = "let a = 3;\nlet b = () => a * 2;\n"
NEAR = function(50, 60)
GIVEN = [
    *(Given("code", f"a{n:02d}.py", "python", function(n, 3 + 2 * n)) for n in range(12)),
    Given("code", "wild.py", "python", WILD),
    Given("code", "web.js", "javascript", SCRIPT),
    Given("code", "near.py", "python", NEAR),
    Given("code", "near2.py", "python", NEAR.replace("return", "yield"), "near duplicate"),
    Given("code", "z1.py", "python", function(3, 9), "duplicate"),
    Given("code", "z2.py", "python", function(3, 9), "duplicate"),
    Given("code", "made.py", "python", "# @generated\n" + function(70), "generated"),
    Given("code", "two.py", "python", "print 'x'\n", "parses"),
    Given("code", "what.xyz", "", "no language that is known\n", "language"),
    Given("code", "copied.py", "python", f"# {PROBLEM}\n" + function(80), "benchmark"),
    *(Given("code", f"empty{n}.py", "python", "", "empty") for n in range(7)),
    *(
        Given("talks", f"talks.jsonl:{n}", "python", transcript(t)[0])
        for n, t in enumerate(TALKS, 1)
    ),
    Given("talks", "talks.jsonl:4", "", "{broken", "not JSON"),
    Given("gone", "one.py", "python", "def (:\n", "parses"),
]
KEPT = [given for given in GIVEN if given.verdict == "kept"]
LICENSES = {"code": "MIT", "talks": "", "gone": "Apache-2.0"}
ORDER = [
    *("not JSON", "empty", "language", "generated", "parses"),
    *("benchmark", "duplicate", "near duplicate"),
]


@pytest.fixture(scope="module")
def folder(small_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the documents above."""
    here = tmp_path_factory.mktemp("survey")
    small_tokenizer.save(here / "tokenizer")
    for name in LICENSES:
        (here / name).mkdir()
    for given in GIVEN:
        if given.source != "talks":
            (here / given.source / given.path).write_text(given.text, "utf-8")
    lines = [json.dumps({"turns": turns}) for turns in TALKS]
    (here / "talks" / "talks.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n", "utf-8")
    (here / "problem.txt").write_text(PROBLEM, "utf-8")
    kinds = {"code": "folder", "talks": "jsonl", "gone": "folder"}
    recipe = CorpusRecipe.model_validate(
        {
            "name": "given",
            "tokenizer": str(here / "tokenizer"),
            "context": CONTEXT,
            "sources": [
                {
                    "kind": kind,
                    "name": name,
                    "path": str(here / name / ("*.jsonl" if kind == "jsonl" else "")),
                    "license": LICENSES[name],
                }
                for name, kind in kinds.items()
            ],
            "contamination": {"benchmarks": [str(here / "problem.txt")]},
        }
    )
    build(recipe, here / "data", Console(quiet=True))
    return here / "data"


@pytest.fixture(scope="module")
def found(folder: Path) -> Survey:
    return survey(folder, samples=100)


@pytest.fixture(scope="module")
def tokens(small_tokenizer: Tokenizer) -> dict[str, int]:
    """The length of each kept document with its end of text."""
    return {given.path: len(small_tokenizer.encode(given.text)) + 1 for given in KEPT}


def test_it_counts_what_came_in_and_what_was_kept(found, tokens):
    assert (found.documents_in, found.documents) == (len(GIVEN), len(KEPT))
    assert found.bytes_in == sum(given.bytes for given in GIVEN)
    assert found.bytes == sum(given.bytes for given in KEPT)
    assert found.tokens == sum(tokens.values())


@pytest.mark.parametrize("field", ["languages", "sources", "licenses"])
def test_groups_add_up(field, found, tokens):
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    if field == "sources":
        sums["gone"] = [0, 0, 0]
    for given in KEPT:
        key = {
            "languages": given.language,
            "sources": given.source,
            "licenses": LICENSES[given.source],
        }[field]
        for place, number in enumerate((1, given.bytes, tokens[given.path])):
            sums[key][place] += number
    groups = getattr(found, field)
    assert {g.name: [g.documents, g.bytes, g.tokens] for g in groups} == sums
    assert [g.tokens for g in groups] == sorted((g.tokens for g in groups), reverse=True)


def losses(documents: list[Given]) -> list[tuple[str, int, int, int, int]]:
    left = list(documents)
    expected = []
    for rule in ORDER:
        lost = [given for given in left if given.verdict == rule]
        left = [given for given in left if given.verdict != rule]
        if lost:
            sizes = sum(g.bytes for g in lost), len(left), sum(g.bytes for g in left)
            expected.append((rule, len(lost), *sizes))
    return expected


def test_losses_follow_the_build_and_leave_what_was_kept(found):
    assert [tuple(asdict(loss).values()) for loss in found.losses] == losses(GIVEN)
    assert (found.losses[-1].documents_left, found.losses[-1].bytes_left) == (
        found.documents,
        found.bytes,
    )
    by_source = {
        source: [tuple(asdict(loss).values()) for loss in lost]
        for source, lost in found.losses_by_source.items()
    }
    assert by_source == {
        source: losses([given for given in GIVEN if given.source == source]) for source in LICENSES
    }


def test_the_histogram_has_every_length_in_its_bucket(found, tokens):
    expected = Counter(length.bit_length() for length in tokens.values())
    got = {
        bucket.low.bit_length(): bucket.documents for bucket in found.lengths if bucket.documents
    }
    assert got == expected
    for bucket in found.lengths:
        inside = [n for n in tokens.values() if bucket.low <= n <= bucket.high]
        assert (bucket.documents, bucket.tokens) == (len(inside), sum(inside))
        assert bucket.high == 2 * bucket.low - 1
    lows = [bucket.low for bucket in found.lengths]
    assert lows == [lows[0] << n for n in range(len(lows))]


def test_rows_are_as_full_as_cutting_the_stream_leaves_them(found, tokens):
    read = sum(tokens.values()) - 1
    assert (found.context, found.rows) == (CONTEXT, -(-read // CONTEXT))
    assert found.fill == pytest.approx(read / (found.rows * CONTEXT))


def test_prompts_are_the_tokens_that_begin_in_them(found, small_tokenizer, tokens):
    prompts = 0
    for turns in TALKS:
        text, marks = transcript(turns)
        _, offsets = small_tokenizer.encode_with_offsets(text)
        prompts += sum(marks[start] for start, _ in offsets)
    assert found.prompts == pytest.approx(prompts / sum(tokens.values()))


def test_samples_read_as_the_files_do(found, tokens):
    assert {
        (s.source, s.path, s.language, s.license, s.tokens, s.text, s.whole) for s in found.samples
    } == {
        (g.source, g.path, g.language, LICENSES[g.source], tokens[g.path], g.text, True)
        for g in KEPT
    }


def test_samples_follow_from_the_seed(folder, found):
    few = survey(folder, samples=4, seed=1)
    assert few == survey(folder, samples=4, seed=1)
    assert len({sample.path for sample in few.samples}) == 4
    assert few.samples != survey(folder, samples=4, seed=2).samples
    assert survey(folder, samples=0).samples == []
    assert few.losses == found.losses


def test_long_samples_are_cut(folder, tokens, monkeypatch):
    limit = sorted(tokens.values())[len(tokens) // 2] - 1
    monkeypatch.setattr(surveys, "LONGEST", limit)
    texts = {given.path: given.text for given in KEPT}
    for sample in survey(folder, samples=100).samples:
        assert sample.whole == (sample.tokens - 1 <= limit)
        assert (sample.text == texts[sample.path]) == sample.whole
        assert texts[sample.path].startswith(sample.text.rstrip("\ufffd"))


def test_rows_show_where_documents_begin(found):
    whole = [given.text + "<|endoftext|>" for given in KEPT]
    assert len(found.batch) == 4
    for row in found.batch:
        assert sum(segment.tokens for segment in row.segments) + row.padding == CONTEXT
        for segment in row.segments[:-1]:
            assert any(text.endswith(segment.text) for text in whole)
        for segment in row.segments[1:]:
            assert any(text.startswith(segment.text.rstrip("\ufffd")) for text in whole)
    assert any(len(row.segments) > 1 for row in found.batch)


def test_what_is_left_of_the_last_row_is_padding(folder, found, monkeypatch):
    monkeypatch.setattr(surveys, "ROWS", found.rows)
    rows = survey(folder, samples=0).batch
    left = -(found.tokens - 1) % CONTEXT
    assert left
    assert Counter(row.padding for row in rows) == {0: found.rows - 1, left: 1}
    assert sum(s.tokens for row in rows for s in row.segments) == found.tokens - 1


def test_some_of_the_dropped_are_named(found):
    assert list(found.dropped) == ORDER
    for rule, examples in found.dropped.items():
        given = {(g.source, g.path, g.bytes) for g in GIVEN if g.verdict == rule}
        named = {(e.source, e.path, e.bytes) for e in examples}
        assert len(examples) == len(named) == min(len(given), 5)
        assert named <= given
    assert {example.detail for example in found.dropped["duplicate"]} == {"of a03.py"}


def test_a_ledger_read_in_small_pieces_says_the_same(folder, found, monkeypatch):
    monkeypatch.setattr(surveys, "BATCH", 3)
    assert survey(folder, samples=100) == found


def test_it_is_json(found):
    assert json.loads(json.dumps(asdict(found))) == asdict(found)


class Page(HTMLParser):
    """What a page is made of, as a browser sees it."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)
            self.texts[tag].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


def test_the_page_shows_all_and_runs_nothing(found):
    html = render(found)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;amp;" in html
    seen = Page(html)
    assert not seen.open
    assert not seen.tags & {"script", "img", "link", "iframe", "object", "foreignobject"}
    assert "http:" not in html
    assert "https:" not in html
    for name, value in seen.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "href", "action")
        assert name != "xlink:href" or (value or "").startswith("#")
    shown = [text.removeprefix("\n") for text in seen.texts["pre"]]
    assert [sample.text for sample in found.samples] == shown[: len(found.samples)]
    for row, text in zip(found.batch, shown[len(found.samples) :], strict=False):
        assert text == "".join(segment.text for segment in row.segments)
    assert json.loads(shown[-1]) == found.recipe
    assert seen.tags >= {"svg", "path", "text"}
    assert len(seen.texts["svg"]) == 5
    funnel = seen.texts["svg"][0]
    assert all(loss.rule in funnel for loss in found.losses)
    assert f"−7 ({7 / len(GIVEN):.1%})" in funnel
    assert "#0101" not in html


def test_names_of_the_data_are_escaped_in_plots_too(found):
    evil = '</text><script>x</script>$\\frac{1}{2}$"&lt;'
    groups = [surveys.Group(evil[:25], 1, 1, 1), surveys.Group(evil[25:], 1, 1, 1)]
    seen = Page(render(replace(found, languages=groups, licenses=groups)))
    assert "script" not in seen.tags
    assert evil[:25] in seen.texts["svg"][2]
    assert evil[25:] in seen.texts["svg"][2]


def test_small_groups_share_a_bar():
    groups = [surveys.Group(f"l{n}", 1, 1, 100 - n) for n in range(30)]
    bars = page._shares(groups)
    assert len(bars) == 12
    assert bars[-1].name == "19 others"
    assert sum(bar.value for bar in bars) == sum(group.tokens for group in groups)


@pytest.mark.parametrize(
    ("count", "size", "short"),
    [
        (0, "0 B", "0"),
        (999, "999 B", "999"),
        (9_999, "10.0 kB", "9,999"),
        (12_345, "12.3 kB", "12.3 k"),
        (123_456, "123.5 kB", "123 k"),
        (7_378_207, "7.4 MB", "7.4 M"),
        (5 * 10**13, "50.0 TB", "50,000 G"),
    ],
)
def test_figures_are_readable(count, size, short):
    assert (page.size(count), page.short(count)) == (size, short)


def copy(folder: Path, tmp_path: Path) -> Path:
    """Return a copy that shares nothing."""
    for path in folder.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(folder)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def cut_short(folder: Path) -> None:
    path = folder / "ledger.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def corrupt(folder: Path) -> None:
    path = folder / "ledger.parquet"
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 4] = bytes(len(data) // 4 - 4)
    path.write_bytes(data)


def other_columns(folder: Path) -> None:
    path = folder / "ledger.parquet"
    pq.write_table(pq.read_table(path).drop_columns("bytes"), path)


def other_rows(folder: Path) -> None:
    path = folder / "ledger.parquet"
    pq.write_table(pq.read_table(path).slice(3), path)


def more_rows(folder: Path) -> None:
    path = folder / "ledger.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)


DAMAGE = {
    "no finished data set": lambda folder: (folder / "manifest.json").unlink(),
    "ledger.parquet is missing": lambda folder: (folder / "ledger.parquet").unlink(),
    "ledger.parquet is damaged": cut_short,
    "ledger.parquet is damaged; build": corrupt,
    "other columns": other_columns,
    "do not fit together": other_rows,
    "do not fit together; build": more_rows,
    "has no tokenizer": lambda folder: [p.unlink() for p in (folder / "tokenizer").iterdir()],
    "not as long as its index": lambda folder: (folder / "shard-00000.tokens").write_bytes(b"12"),
}


@pytest.mark.parametrize("sentence", DAMAGE)
def test_damage_is_named_in_one_sentence(sentence, folder, tmp_path):
    here = copy(folder, tmp_path)
    DAMAGE[sentence](here)
    with pytest.raises(UserError) as caught:
        survey(here)
    assert sentence in str(caught.value)
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_named_with_its_remedy(package, found, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"{package} is missing; .*jaxformer\[report\]"):
        render(found)
