"""Any model behind an OpenAI-compatible completions endpoint (vLLM, SGLang, llama.cpp, …)."""

import concurrent.futures
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from jaxformer.errors import UserError
from jaxformer.generation import Completion, Request
from jaxformer.transcript import find_cut

TRIES = 5
"""Of one request, where the endpoint is busy or fails."""
PATIENCE = 600.0
"""Seconds without a word of the endpoint."""
KEY = "OPENAI_API_KEY"
"""The environment variable with the endpoint's key, if it wants one."""


class Endpoint:
    """Completes requests by `POST URL/completions`; a writer for the runner.

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
            self._client.get(f"{self._url}/models", timeout=10.0)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._down(error) from error

    def submit(self, request: Request) -> int:
        """Send a request and return its number."""
        number, self._next = self._next, self._next + 1
        self._running[self._threads.submit(self._complete, request)] = number
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

    def close(self) -> None:
        """Give up what is on its way."""
        self._ended.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _complete(self, request: Request) -> Completion:
        for attempt in range(TRIES):
            try:
                return self._try(request)
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
            if self._ended.wait(2**attempt / 2):
                break
        raise UserError("The evaluation was ended.")

    def _try(self, request: Request) -> Completion:
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
        raw, reason, logprobs = "", "end of text", []
        with self._client.stream("POST", f"{self._url}/completions", json=asked) as response:
            if response.is_error:
                response.read()
            response.raise_for_status()
            for choice in _choices(response):
                raw += choice.get("text") or ""
                known = (choice.get("logprobs") or {}).get("token_logprobs") or []
                logprobs += [value for value in known if value is not None]
                if choice.get("finish_reason") == "length":
                    reason = "length"
                if cut := find_cut(raw, request.stops):
                    return Completion(raw[: cut.position], raw, cut.reason, (), tuple(logprobs))
        return Completion(raw, raw, reason, (), tuple(logprobs))

    def _down(self, error: Exception) -> UserError:
        reason = str(error) or type(error).__name__
        return UserError(
            f"The endpoint {self._url} cannot be reached ({reason}); start it and give the same "
            "command again."
        )


def _choices(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the pieces of a stream of server-sent events."""
    for line in response.iter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            continue
        yield from json.loads(data).get("choices") or []
