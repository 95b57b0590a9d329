"""A session: a program synthesised over several turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from jaxformer import sandbox, transcript
from jaxformer.checkpoints import Model
from jaxformer.errors import UserError
from jaxformer.generation import Completion, Engine, Request, score
from jaxformer.synthesis.candidates import candidate_seed, choose


@dataclass(frozen=True)
class Turn(transcript.Turn):
    """One finished step of a session.

    Attributes:
        prompt: What was asked.
        code: The code that entered the program.
        raw: Everything that the model generated, the part behind the cut too.
        stop_reason: What ended the code: a stop rule's name, `end of text`, `length`, `context`,
            or `edited` for code that the user wrote.
        perplexity: Of the prompt's words, given all turns before them: `exp(-mean log p)` over
            the tokens that touch the prompt's text.
        output: What the program printed anew in this turn; empty if the session does not execute.
        error: What ended the program early: an exception's type and message, or `timeout`,
            `memory`, `output` or `killed`; None if it ran to its end or was not run.
        printed: What the whole program printed, up to and with this turn.
        seed: The seed that drew it.
        forgotten: How many of the oldest tokens did not fit the context any more.
    """

    raw: str
    stop_reason: str
    perplexity: float | None
    output: str
    error: str | None
    printed: str
    seed: int
    forgotten: int


class Session:
    """A conversation in which each prompt adds code to one growing program.

    The transcript and the rules that cut a completion are the paper's (`jaxformer.transcript`).
    History that is longer than the context loses its start.
    """

    def __init__(
        self,
        model: Model,
        *,
        temperature: float = 0.2,
        top_p: float = 0.95,
        top_k: int = 0,
        max_new_tokens: int | None = None,
        seed: int = 0,
        execute: bool = True,
        limits: sandbox.Limits = sandbox.DEFAULT_LIMITS,
        unprotected: bool = False,
        candidates: int = 1,
        engine: Engine | None = None,
    ) -> None:
        """Begin a session.

        Args:
            model: The model that writes the code.
            temperature: 0 takes the likeliest token each time.
            top_p: Draw among the fewest tokens whose probabilities reach this sum.
            top_k: Draw among this many likeliest tokens; 0 for all.
            max_new_tokens: Of each turn; 256, or a quarter of a context below 1,024.
            seed: The same session with the same seed writes the same program.
            execute: Whether to run the program after every turn, in the sandbox.
            limits: What the program may use.
            unprotected: Run programs even where there is no sandbox.
            candidates: Of each turn; with more than one, execution chooses among them
                (`synthesis.candidates`).
            engine: What generates, if several sessions share one; it must be of this model.
        """
        quarter = min(256, model.config.n_positions // 4)
        if max_new_tokens is not None and max_new_tokens >= model.config.n_positions:
            raise UserError(
                f"max_new_tokens {max_new_tokens} leaves no room for a prompt in the context of "
                f"{model.config.n_positions}."
            )
        if candidates < 1:
            raise UserError(f"A turn needs one candidate at least, not {candidates}.")
        self.model = model
        self.candidates = candidates
        self.engine = engine or Engine(model)
        self.turns: list[Turn] = []
        self.seed = seed
        self.execute = execute
        self._request = Request(
            prompt="",
            max_new_tokens=quarter if max_new_tokens is None else max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            stops=transcript.TURN_STOPS,
            keep_end=True,
        )
        self._limits = limits
        self._unprotected = unprotected

    @property
    def program(self) -> str:
        """The program so far, with the prompts as comments."""
        return transcript.program(self.turns)

    def ask(self, prompt: str, on_text: Callable[[str], None] | None = None) -> Turn:
        """Let the model write the code of the next step.

        Args:
            prompt: The step, in one line.
            on_text: Called with pieces of the code as they become certain.

        Raises:
            UserError: If the prompt is empty, has several lines, or is longer than the context.
        """
        turn = self._write(self.turns, prompt, self.seed, on_text)
        self.turns.append(turn)
        return turn

    def undo(self) -> Turn:
        """Take the last turn back and return it."""
        if not self.turns:
            raise UserError("There is no turn to take back; ask for a step first.")
        return self.turns.pop()

    def retry(self, on_text: Callable[[str], None] | None = None) -> Turn:
        """Write the last turn anew with the next seed."""
        last = self.undo()
        try:
            turn = self._write(self.turns, last.prompt, (last.seed + 1) % 2**32, on_text)
        except BaseException:
            self.turns.append(last)
            raise
        self.turns.append(turn)
        return turn

    def edit(self, code: str, index: int = -1) -> Turn:
        """Replace the code of a turn by one's own; later turns keep theirs.

        Args:
            code: The new code.
            index: Which turn; the last one if not given.
        """
        if not -len(self.turns) <= index < len(self.turns):
            raise UserError(f"There is no turn {index} to edit; the session has {len(self.turns)}.")
        index %= len(self.turns)
        kept = self.turns[:index]
        for number, old in enumerate(self.turns[index:]):
            if number == 0:
                kept.append(self._finish(kept, old.prompt, code, code, "edited", old.seed))
            else:
                kept.append(
                    self._finish(kept, old.prompt, old.code, old.raw, old.stop_reason, old.seed)
                )
        self.turns = kept
        return self.turns[index]

    def fork(self) -> Self:
        """Return an independent session that starts from the same turns."""
        twin = object.__new__(type(self))
        twin.__dict__ = self.__dict__ | {"turns": list(self.turns)}
        return twin

    def run(self) -> sandbox.Result:
        """Run the program from its start, in the sandbox."""
        return self._run(self.turns)

    def _run(self, turns: Sequence[transcript.Turn]) -> sandbox.Result:
        return sandbox.run(transcript.program(turns), self._limits, unprotected=self._unprotected)

    def _write(
        self,
        history: Sequence[Turn],
        prompt: str,
        seed: int,
        on_text: Callable[[str], None] | None,
    ) -> Turn:
        self._check(prompt)
        text = transcript.render(history) + transcript.ask(prompt)
        if self.candidates == 1:
            request = replace(self._request, prompt=text, seed=seed)
            on_piece = (lambda _, piece: on_text(piece)) if on_text else None
            [completion] = self.engine.generate([request], on_piece)
        else:
            completion = self._best(history, prompt, text, seed)
            if on_text:
                on_text(completion.text)
        return self._finish(
            history, prompt, completion.text, completion.raw, completion.stop_reason, seed
        )

    def _best(self, history: Sequence[Turn], prompt: str, text: str, seed: int) -> Completion:
        """Draw several candidates, and let execution choose."""
        seeds = [candidate_seed(seed, number) for number in range(self.candidates)]
        requests = [replace(self._request, prompt=text, seed=each) for each in seeds]
        found = self.engine.generate(requests)
        turns = [transcript.Turn(prompt, transcript.clean(one.text)) for one in found]
        place = choose(
            [transcript.program([*history, turn]) for turn in turns],
            [sum(one.logprobs) for one in found],
            self._limits,
            unprotected=self._unprotected,
        )
        return found[place]

    def _check(self, prompt: str) -> None:
        if not prompt.strip():
            raise UserError("The prompt is empty; describe a step.")
        if prompt.splitlines() != [prompt]:
            raise UserError("A prompt is one line; ask for one step at a time.")
        size = len(self.model.tokenizer.encode(transcript.render([]) + transcript.ask(prompt)))
        room = self.model.config.n_positions - self._request.max_new_tokens
        if size > room:
            raise UserError(
                f"The prompt takes {size} tokens, but beside {self._request.max_new_tokens} new "
                f"ones the model's context has room for {room}; shorten the prompt or lower "
                "max_new_tokens."
            )

    def _finish(
        self,
        history: Sequence[Turn],
        prompt: str,
        code: str,
        raw: str,
        stop_reason: str,
        seed: int,
    ) -> Turn:
        """Measure and run a turn whose code is known."""
        code = transcript.clean(code)
        text = transcript.render(history) + transcript.ask(prompt)
        [scored] = score(self.model, [text], keep_end=True)
        end = len(text) - 1
        printed, error = self._execute([*history, transcript.Turn(prompt, code)])
        tokens = len(self.model.tokenizer.encode(text))
        room = self.model.config.n_positions - self._request.max_new_tokens
        return Turn(
            prompt=prompt,
            code=code,
            raw=raw,
            stop_reason=stop_reason,
            perplexity=scored.perplexity(end - len(prompt), end),
            output=_added(history[-1].printed if history else "", printed),
            error=error,
            printed=printed,
            seed=seed,
            forgotten=max(0, tokens - room),
        )

    def _execute(self, turns: Sequence[transcript.Turn]) -> tuple[str, str | None]:
        """Return what the program prints, and what ended it early."""
        if not self.execute:
            return "", None
        result = self._run(turns)
        early = result.status not in ("ok", "exit")
        return result.stdout, (result.exception or result.status) if early else None


def _added(before: str, now: str) -> str:
    """Return what a run printed beyond the run before it.

    A program that prints something else each time (a clock, a set of strings) is compared by the
    number of lines.
    """
    if now.startswith(before):
        return now.removeprefix(before)
    return "".join(now.splitlines(keepends=True)[len(before.splitlines()) :])
