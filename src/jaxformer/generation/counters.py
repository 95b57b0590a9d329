"""What an engine has done, in numbers."""

from dataclasses import dataclass


@dataclass
class Counters:
    """What an engine has done since it began."""

    finished: int = 0
    """Requests that ran to their end."""
    cancelled: int = 0
    prompt_tokens: int = 0
    """Of all requests that were begun."""
    reused_tokens: int = 0
    """Of these, those that were not read: from pages, or read for another sample."""
    new_tokens: int = 0
    """Tokens of finished completions."""
    row_steps: int = 0
    """Rows times tokens that were decoded, free rows included."""
    busy_steps: int = 0
    """Of these, those of rows with a request, wrong guesses left out."""
    guessed_tokens: int = 0
    """That prompt look-up or a draft proposed."""
    accepted_tokens: int = 0
    """Of these, those that were drawn then: steps that were saved."""

    @property
    def acceptance(self) -> float:
        """Share of guessed tokens that were right."""
        return self.accepted_tokens / max(self.guessed_tokens, 1)

    @property
    def occupancy(self) -> float:
        """Share of decoding that was done for a request."""
        return self.busy_steps / max(self.row_steps, 1)

    @property
    def hits(self) -> float:
        """Share of prompts that was not read."""
        return self.reused_tokens / max(self.prompt_tokens, 1)
