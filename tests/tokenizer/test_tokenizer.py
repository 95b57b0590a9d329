"""The tokenizer against transformers' own, and what holds for every text."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, CodeGenTokenizer

from conftest import is_one_sentence, sources
from jaxformer import UserError, tokenizer
from jaxformer.tokenizer import END_OF_TEXT, WHITESPACE, Tokenizer

LANGUAGES = {
    "Python": [".py"],
    "C": [".c"],
    "C++": [".h", ".hpp", ".cpp"],
    "CUDA": [".cuh"],
    "Fortran": [".f90"],
    "CMake": [".cmake"],
    "Cython": [".pyx"],
    "JavaScript": [".js"],
}
RUNS = "".join(f"x{' ' * n}y{chr(9) * n}z\n{' ' * n}\n" for n in range(1, 70)) + "   \t\t  \t x  "


@pytest.fixture(scope="module")
def codegen(codegen_tokenizer_folder: Path) -> Tokenizer:
    return tokenizer.load(codegen_tokenizer_folder)


@pytest.fixture(scope="module")
def saved(small_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved-tokenizer")
    small_tokenizer.save(folder)
    return folder


def test_ids_equal_transformers_on_source_files(codegen, codegen_tokenizer_folder):
    theirs = CodeGenTokenizer.from_pretrained(codegen_tokenizer_folder)
    assert len(theirs) == codegen.vocab_size == 50295
    assert codegen.eos_token_id == 50256
    assert codegen.encode(RUNS) == theirs.encode(RUNS)

    compared, seen = dict.fromkeys(LANGUAGES, 0), set()
    for language, suffixes in LANGUAGES.items():
        for text in itertools.chain.from_iterable(sources(suffix, 80) for suffix in suffixes):
            ids = codegen.encode(text)
            assert ids == theirs.encode(text), text[:80]
            compared[language] += 1
            seen.update(ids)
    assert sum(compared.values()) >= 400
    assert sum(count >= 10 for count in compared.values()) >= 6, compared
    assert len(seen & set(range(50257, 50295))) >= 30  # of the 38 runs of white space


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(
    st.sampled_from(
        [END_OF_TEXT, *WHITESPACE, " ", "\t", "\r\n", "\x00", "12", "é", "漢", "👩‍👧", "'s"]
    )
).map("".join)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS)
def test_decoding_gives_the_text_back_and_offsets_cover_it(text, codegen, small_tokenizer):
    for own in (codegen, small_tokenizer):
        ids, offsets = own.encode_with_offsets(text)
        assert len(ids) == len(offsets)
        assert ids == own.encode(text)
        assert own.decode(ids) == text
        before = 0, 0
        for start, end in offsets:  # a character of several tokens belongs to each of them
            assert start < end
            assert before[0] <= start <= before[1] <= end
            before = start, end
        assert before[1] == len(text)


@pytest.mark.parametrize("theirs", [AutoTokenizer, CodeGenTokenizer])
def test_transformers_loads_a_trained_tokenizer_with_equal_ids(theirs, saved, small_tokenizer):
    loaded = theirs.from_pretrained(saved)
    assert len(loaded) == small_tokenizer.vocab_size
    assert loaded.eos_token_id == loaded.bos_token_id == small_tokenizer.eos_token_id
    for text in [*sources(".py", 20), *sources(".c", 20), RUNS, f"a{END_OF_TEXT}b"]:
        ids = small_tokenizer.encode(text)
        assert loaded.encode(text) == ids
        assert loaded.decode(ids) == text


@pytest.mark.parametrize(
    "names",
    [["tokenizer.json"], ["vocab.json", "merges.txt", "added_tokens.json"]],
    ids=["tokenizer.json", "vocab.json"],
)
def test_either_set_of_files_is_enough(names, saved, small_tokenizer, tmp_path):
    for name in names:
        shutil.copy(saved / name, tmp_path)
    loaded = tokenizer.load(tmp_path)
    assert loaded.vocab_size == small_tokenizer.vocab_size
    assert loaded.eos_token_id == small_tokenizer.eos_token_id
    for text in [*sources(".py", 20), *sources(".c", 20), RUNS, f"a{END_OF_TEXT}b"]:
        assert loaded.encode(text) == small_tokenizer.encode(text)


@pytest.mark.parametrize("size", [295, 700])
def test_training_honours_the_size_and_puts_white_space_last(size, tmp_path):
    tokenizer.train(sources(".py", 10), size).save(tmp_path)
    serial = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    ids = serial["model"]["vocab"] | {t["content"]: t["id"] for t in serial["added_tokens"]}
    assert sorted(ids.values()) == list(range(size))
    spaces, tabs = range(31, 1, -1), range(9, 1, -1)
    last = sorted(ids, key=lambda token: ids[token])[-38:]
    assert last == [" " * n for n in spaces] + ["\t" * n for n in tabs]


def test_no_learnt_token_holds_two_digits(saved):
    numbers = [f"x = {n * n}; y[{n}] = '{n}.{n}'\n" for n in range(3000)]
    for learnt in (
        json.loads((saved / "vocab.json").read_text("utf-8")),
        tokenizer.train(numbers, 600).backend.get_vocab(),
    ):
        assert not [token for token in learnt if sum(c in "0123456789" for c in token) > 1]


def test_a_vocabulary_without_room_for_all_bytes_is_refused():
    with pytest.raises(UserError) as caught:
        tokenizer.train(["text"], 294)
    assert is_one_sentence(str(caught.value))
    assert "295" in str(caught.value)


DAMAGE = {  # what each file then holds; None removes it
    "nothing there": {"tokenizer.json": None, "vocab.json": None, "merges.txt": None},
    "no merges": {"tokenizer.json": None, "merges.txt": None},
    "truncated tokenizer.json": {"tokenizer.json": b'{"version": "1.0", "trunc'},
    "empty tokenizer.json": {"tokenizer.json": b""},
    "tokenizer.json of something else": {"tokenizer.json": b"[1, 2]"},
    "bytes in tokenizer.json": {"tokenizer.json": b"\xff\xfe\x00"},
    "truncated vocab.json": {"tokenizer.json": None, "vocab.json": b'{"a": 1, "b'},
    "vocab.json that is a list": {"tokenizer.json": None, "vocab.json": b"[1]"},
    "bytes in merges.txt": {"tokenizer.json": None, "merges.txt": b"\xff\xfe"},
    "a merge of three": {"tokenizer.json": None, "merges.txt": b"a b c\n"},
    "a merge of unknown tokens": {"tokenizer.json": None, "merges.txt": "#version\nß ß\n".encode()},
    "added tokens that are a list": {"tokenizer.json": None, "added_tokens.json": b"[1, 2]"},
    "no end of text": {"tokenizer.json": None, "vocab.json": b'{"a": 0}', "merges.txt": b""},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_missing_and_damaged_files_are_named_in_one_sentence(name, saved, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(saved, folder)
    for file, content in DAMAGE[name].items():
        (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        tokenizer.load(folder)
    assert is_one_sentence(str(caught.value)), caught.value
    assert str(folder) in str(caught.value)
