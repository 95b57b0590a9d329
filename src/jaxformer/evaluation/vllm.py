"""Any model that vLLM runs, in this process."""

import importlib
from collections.abc import Sequence
from typing import Any

from jaxformer.checkpoints.hub import find
from jaxformer.errors import UserError
from jaxformer.generation import Completion, Request, Score
from jaxformer.transcript import Stop, find_cut


class Vllm:
    """Completes and scores texts by `vllm.LLM`; a writer for the runner.

    vLLM knows a part of the stop rules and ends there; the others cut what it wrote, with the same
    result.
    """

    def __init__(self, name: str, dtype: str) -> None:
        """Load a model.

        Args:
            name: A folder, or a name on the hub, of any architecture that vLLM knows.
            dtype: `float32`, `bfloat16` or `float16`.

        Raises:
            UserError: If vLLM is not installed, or cannot load the model.
        """
        try:
            vllm: Any = importlib.import_module("vllm")  # of any version, and rarely installed
        except ImportError as error:
            raise UserError("vLLM is not installed; pip install vllm.") from error
        try:
            self._llm: Any = vllm.LLM(model=str(find(name)), dtype=dtype)
        except (ValueError, RuntimeError) as error:
            said = str(error).strip().splitlines()
            raise UserError(f"vLLM cannot load {name}: {said[0] if said else error!r}.") from error
        self._parameters = vllm.SamplingParams
        self._tokenizer = self._llm.get_tokenizer()
        self._waiting: dict[int, Request] = {}
        self._next = 0
        self.context: int = self._llm.llm_engine.model_config.max_model_len

    def submit(self, request: Request) -> int:
        """Queue a request and return its number."""
        number, self._next = self._next, self._next + 1
        self._waiting[number] = request
        return number

    def step(self) -> dict[int, Completion]:
        """Complete all that is queued and return it by number."""
        numbers, requests = list(self._waiting), list(self._waiting.values())
        self._waiting.clear()
        prompts = [
            {"prompt_token_ids": self._encode(r.prompt)[-(self.context - r.max_new_tokens) :]}
            for r in requests
        ]
        parameters = [
            self._parameters(
                max_tokens=request.max_new_tokens,
                temperature=request.temperature,
                top_p=request.top_p,
                top_k=request.top_k,
                seed=request.seed,
                stop=_literal(request.stops),
                include_stop_str_in_output=True,
                logprobs=0,
            )
            for request in requests
        ]
        found = self._llm.generate(prompts, parameters, use_tqdm=False)
        return {
            number: _completion(request, output.outputs[0])
            for number, request, output in zip(numbers, requests, found, strict=True)
        }

    def score(self, texts: Sequence[str]) -> list[Score]:
        """Score texts; one longer than the context loses its start."""
        most = self.context - 1  # a token must be generated
        ids = [self._encode(text)[-most:] for text in texts]
        parameters = self._parameters(max_tokens=1, temperature=0.0, prompt_logprobs=0)
        prompts = [{"prompt_token_ids": tokens} for tokens in ids]
        found = self._llm.generate(prompts, parameters, use_tqdm=False)
        scores = []
        for text, tokens, output in zip(texts, ids, found, strict=True):
            spans = self._tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
            logprobs = [
                None if each is None else each[token].logprob
                for token, each in zip(tokens, output.prompt_logprobs, strict=True)
            ]
            own = tuple(tuple(span) for span in spans[-most:])
            scores.append(Score(tuple(tokens), own, tuple(logprobs)))
        return scores

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer(text)["input_ids"]


def _literal(stops: Sequence[Stop]) -> list[str]:
    """Return texts that end a completion wherever they come; no rule cuts behind them."""
    return [("\n" if s.line_start else "") + s.text for s in stops if s.occurrence == 1]


def _completion(request: Request, output: Any) -> Completion:
    tokens = tuple(output.token_ids)
    logprobs = tuple(
        each[token].logprob for token, each in zip(tokens, output.logprobs, strict=True)
    )
    cut = find_cut(output.text, request.stops)
    ended = "length" if output.finish_reason == "length" else "end of text"
    return Completion(
        output.text[: cut.position] if cut else output.text,
        output.text, cut.reason if cut else ended, tokens, logprobs,
    )  # fmt: skip
