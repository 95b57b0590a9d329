"""Any model behind an OpenAI-compatible completions endpoint (vLLM, SGLang, llama.cpp, …)."""

import concurrent.futures
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from jaxformer.errors import UserError
from jaxformer.generation import Completion, Request, Score
from jaxformer.transcript import find_cut

TRIES = 5
"""Of one request, where the endpoint is busy or fails."""
PATIENCE = 600.0
"""Seconds without a word of the endpoint."""
KEY = "OPENAI_API_KEY"
"""The environment variable with the endpoint's key, if it wants one."""

_T = TypeVar("_T")


class Unscored(UserError):
    """The endpoint does not tell how likely a prompt's tokens are."""


class Endpoint:
    """Completes and scores texts by `POST URL/completions`; a writer for the runner.

    Completions are streamed, and given up as soon as a stop rule has cut them: the rules of a turn
    cannot be said in the endpoint's own terms.
    """

    def __init__(self, url: str, model: str, parallel: int) -> None:
        """Prepare.

        Args:
            url: Such as `http://localhost:8000/v1`.
            model: What the endpoint calls the model.
            parallel: Requests at one time.

        Raises:
            UserError: If the endpoint does not answer.
        """
        self._url, self._model = url.rstrip("/"), model
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=parallel)
        self._client = httpx.Client(headers=headers, timeout=PATIENCE, limits=limits)
        self._threads = ThreadPoolExecutor(parallel)
        self._running: dict[Future[Completion], int] = {}
        self._next = 0
        self._ended = threading.Event()
        try:
            models = self._client.get(f"{self._url}/models", timeout=10.0)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._down(error) from error
        self.context = _context(models, model)

    def submit(self, request: Request) -> int:
        """Send a request and return its number."""
        number, self._next = self._next, self._next + 1
        future = self._threads.submit(self._insist, lambda: self._complete(request))
        self._running[future] = number
        return number

    def step(self) -> dict[int, Completion]:
        """Wait for completions and return them by number.

        Raises:
            UserError: If the endpoint is down or refuses a request.
        """
        done, _ = concurrent.futures.wait(
            self._running, return_when=concurrent.futures.FIRST_COMPLETED
        )
        return {self._running.pop(future): future.result() for future in done}

    def score(self, texts: Sequence[str]) -> list[Score]:
        """Score texts by their echo; of the tokens only the places in the text are known.

        Raises:
            Unscored: If the endpoint sends back no prompts with log-probabilities.
            UserError: If it is down or refuses a text.
        """
        futures = [self._threads.submit(self._insist, lambda t=t: self._echo(t)) for t in texts]
        try:
            return [future.result() for future in futures]
        except UserError as error:
            if isinstance(error.__cause__, httpx.HTTPStatusError):  # some say 500 to an echo
                raise Unscored(str(error)) from error
            raise

    def close(self) -> None:
        """Give up what is on its way."""
        self._ended.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _insist(self, ask: Callable[[], _T]) -> _T:
        """Ask again where the endpoint is busy or fails."""
        for attempt in range(TRIES):
            try:
                return ask()
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if (status != 429 and status < 500) or attempt == TRIES - 1:
                    said = error.response.text[:200].strip()
                    raise UserError(
                        f"The endpoint {self._url} answers {status} ({said}); what is finished is "
                        "kept, the same command goes on."
                    ) from error
            except httpx.HTTPError as error:
                if attempt == TRIES - 1:
                    raise self._down(error) from error
            except json.JSONDecodeError as error:
                raise UserError(
                    f"The endpoint {self._url} answers what is no JSON; is it OpenAI-compatible?"
                ) from error
            if self._ended.wait(2**attempt / 2):
                break
        raise UserError("The evaluation was ended.")

    def _complete(self, request: Request) -> Completion:
        asked = {
            "model": self._model,
            "prompt": request.prompt,
            "max_tokens": request.max_new_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "logprobs": 1,
            "stream": True,
        }
        if request.top_k:
            asked["top_k"] = request.top_k  # not OpenAI's, but most servers know it
        if self.context:  # a long history loses its start; vLLM knows how
            asked["truncate_prompt_tokens"] = self.context - request.max_new_tokens
        raw, reason, logprobs = "", "", []
        with self._client.stream("POST", f"{self._url}/completions", json=asked) as response:
            if response.is_error:
                response.read()
            response.raise_for_status()
            for choice in _choices(response):
                raw += choice.get("text") or ""
                known = (choice.get("logprobs") or {}).get("token_logprobs") or []
                logprobs += [value for value in known if value is not None]
                if ended := choice.get("finish_reason"):
                    reason = "length" if ended == "length" else "end of text"
                if cut := find_cut(raw, request.stops):
                    return Completion(raw[: cut.position], raw, cut.reason, (), tuple(logprobs))
        if not reason:
            raise httpx.RemoteProtocolError("its answer is no stream of events, or ends early")
        return Completion(raw, raw, reason, (), tuple(logprobs))

    def _echo(self, text: str) -> Score:
        asked = {
            "model": self._model,
            "prompt": text,
            "max_tokens": 1,  # some servers refuse 0
            "temperature": 0.0,
            "logprobs": 1,
            "echo": True,
        }
        response = self._client.post(f"{self._url}/completions", json=asked)
        response.raise_for_status()
        answer = response.json()
        choices = answer.get("choices") if isinstance(answer, dict) else None
        [choice, *_] = choices or [{}]
        known = choice.get("logprobs") or {}
        starts, logprobs = known.get("text_offset") or [], known.get("token_logprobs") or []
        echoed = (choice.get("text") or "").startswith(text)
        if not echoed or not 1 < len(starts) == len(logprobs):
            raise Unscored(f"The endpoint {self._url} does not echo prompts with their logprobs.")
        ends = [*starts[1:], len(text)]
        inside = [
            ((start, end), logprob)
            for start, end, logprob in zip(starts, ends, logprobs, strict=True)
            if start < len(text)
        ]
        return Score((), tuple(span for span, _ in inside), tuple(value for _, value in inside))

    def _down(self, error: Exception) -> UserError:
        reason = str(error) or type(error).__name__
        return UserError(
            f"The endpoint {self._url} cannot be reached ({reason}); start it and give the same "
            "command again."
        )


def _context(models: httpx.Response, model: str) -> int | None:
    """Return a model's context, if the endpoint tells, as vLLM does."""
    try:
        known = {each["id"]: each.get("max_model_len") for each in models.json()["data"]}
    except (ValueError, KeyError, TypeError):
        return None
    return known.get(model)


def _choices(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the pieces of a stream of server-sent events."""
    for line in response.iter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            continue
        event = json.loads(data)
        if not isinstance(event, dict):
            raise httpx.RemoteProtocolError(f"it says {data[:200]}")
        if error := event.get("error"):
            raise httpx.RemoteProtocolError(f"it says {json.dumps(error)[:200]}")
        yield from event.get("choices") or []
