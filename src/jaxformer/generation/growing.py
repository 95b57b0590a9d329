"""A completion while it grows: its tokens, its text, and whether it is complete."""

from collections.abc import Sequence

from jaxformer.checkpoints import Model
from jaxformer.generation.requests import Completion, Request
from jaxformer.transcript import find_cut, settled


class Growing:
    """The completion of one request."""

    def __init__(self, request: Request, model: Model, room: int) -> None:
        """Begin with no text.

        Args:
            request: What is asked for.
            model: Whose tokens come.
            room: How many tokens the context has room for.
        """
        self._request = request
        self._model = model
        self._limit = min(room, request.max_new_tokens)
        self._raw = ""
        self._shown = 0
        self._logprobs: list[float] = []
        self.tokens: list[int] = []
        self.result: Completion | None = None

    @property
    def left(self) -> int:
        """How many tokens may still come."""
        return self._limit - len(self.tokens)

    def take(self, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """Add decoded tokens up to the first reason to stop."""
        before = len(self.tokens)
        reason = None
        for token, logprob in zip(tokens, logprobs, strict=True):
            if token == self._model.tokenizer.eos_token_id:
                reason = "end of text"
                break
            self.tokens.append(token)
            self._logprobs.append(logprob)
            if not self.left:
                whole = self._limit == self._request.max_new_tokens
                reason = "length" if whole else "context"
                break
        decode, stops = self._model.tokenizer.decode, self._request.stops
        self._raw = decode(self.tokens)
        if find_cut(self._raw, stops):
            count = next(
                n
                for n in range(before + 1, len(self.tokens) + 1)
                if find_cut(decode(self.tokens[:n]), stops)
            )
            del self.tokens[count:], self._logprobs[count:]
            self._raw = decode(self.tokens)
        if cut := find_cut(self._raw, stops):
            self._finish(self._raw[: cut.position], cut.reason)
        elif reason:
            self._finish(self._raw, reason)

    def _finish(self, text: str, reason: str) -> None:
        self.result = Completion(text, self._raw, reason, tuple(self.tokens), tuple(self._logprobs))

    def new_text(self) -> str:
        """Return the text that became certain since the last call."""
        if self.result:
            text = self.result.text
        else:
            raw = self._raw.rstrip("\ufffd")  # the first bytes of a character
            text = raw[: settled(raw, self._request.stops)]
        piece = text[self._shown :]
        self._shown = max(self._shown, len(text))
        return piece
