"""A multi-turn benchmark end to end, side by side with the reference sampler on transformers.

    python benchmarks/multiturn.py                    # `nano`, some minutes on a CPU
    python benchmarks/multiturn.py --plot docs/multiturn.png   # and how the cost grows

The work has the shape of the paper's benchmark: problems of 4 or 5 turns, whose prompts are
templates filled with the inputs of 5 cases; n samples of each case at temperature 0.2 and top-p
0.95, up to 128 new tokens a turn, cut by the protocol's rules. (The problems were made up for this
file.) The reference is the released sampler re-enacted on transformers with the same weights in
float32: problem by problem and case by case, the n samples left-padded into one batch without a
mask, the whole history read again each turn, all 128 tokens generated whatever they say, then cut.
First both continue the same conversations greedily, one at a time, and must write the same code.
"""

import datetime
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import jaxformer as jf
from jaxformer.checkpoints import Model
from jaxformer.checkpoints.hub import find
from jaxformer.generation import Engine, Request
from jaxformer.transcript import HEADER, TURN_STOPS, ask, find_cut

NEW, TEMPERATURE, TOP_P = 128, 0.2, 0.95


@dataclass(frozen=True)
class Problem:
    """Prompts with places for inputs, and five sets of inputs."""

    prompts: tuple[str, ...]
    cases: tuple[dict[str, Any], ...]

    def filled(self, case: int) -> list[str]:
        """Return a case's prompts."""
        return [prompt.format(**self.cases[case]) for prompt in self.prompts]


def _problem(prompts: Sequence[str], **inputs: Sequence[Any]) -> Problem:
    cases = [
        dict(zip(inputs, values, strict=True)) for values in zip(*inputs.values(), strict=True)
    ]
    return Problem(tuple(prompts), tuple(cases))


PROBLEMS = (
    _problem(
        ["Define a list named 'ages' with values {ages}.", "Sort 'ages' in descending order.",
         "Keep only the first three values of 'ages'.", "Print the sum of 'ages'."],
        ages=[[31, 8, 54, 22], [5, 9, 1, 77], [40, 41, 39, 38, 2], [12, 12, 13, 14], [9, 1, 5, 3]],
    ),
    _problem(
        ["Assign the string {word!r} to a variable named 'word'.", "Reverse 'word'.",
         "Convert 'word' to upper case.", "Count the letters in 'word'.", "Print 'word'."],
        word=["harbour", "violet", "compass", "lantern", "meadow"],
    ),
    _problem(
        ["Set 'low' to {low}.", "Set 'high' to {high}.",
         "Make a list named 'even' of the even numbers from low to high.",
         "Print the length of 'even'."],
        low=[1, 4, 10, 0, 7], high=[9, 20, 30, 11, 19],
    ),
    _problem(
        ["Define a dictionary named 'stock' with values {stock}.",
         "Add 5 to every value of 'stock'.", "Find the key with the largest value.",
         "Print the keys of 'stock' in sorted order."],
        stock=[{"pen": 3, "ink": 9}, {"a": 1, "b": 2}, {"tea": 7, "milk": 4}, {"x": 0, "y": 8},
               {"oak": 6, "elm": 5}],
    ),
    _problem(
        ["Define a list named 'nums' with values {nums}.",
         "Make a list named 'squares' of the squares of nums.",
         "Remove the smallest value from 'squares'.", "Compute the mean of 'squares'.",
         "Print 'squares'."],
        nums=[[1, 2, 3], [4, 6, 8], [10, 0, 5], [7, 7, 2], [3, 9, 27]],
    ),
    _problem(
        ["Assign the string {text!r} to a variable named 'text'.",
         "Split 'text' into words named 'words'.", "Sort 'words' by length.",
         "Print the first word."],
        text=["one small step", "the river runs deep", "red green blue", "salt and pepper",
              "high over the hills"],
    ),
)  # fmt: skip


@dataclass
class Tally:
    """What a run did."""

    seconds: float = 0.0
    programs: int = 0
    generations: int = 0
    tokens: int = 0
    codes: dict[tuple[int, int, int], list[str]] = field(default_factory=dict)
    """Of problem, case and sample: the code of each turn."""


def run_ours(
    model: Model, problems: Sequence[Problem], n: int, turns: int = 9, *, greedy: bool = False
) -> Tally:
    """Everything at once through one engine; a turn follows as soon as the last one is done."""
    engine, tally = Engine(model, rows=1 if greedy else 64), Tally()
    start = time.perf_counter()
    running: dict[int, tuple[tuple[int, int, int], str]] = {}

    def submit(place: tuple[int, int, int], history: str) -> None:
        prompts = problems[place[0]].filled(place[1])[:turns]
        turn = len(tally.codes.setdefault(place, []))
        if turn == len(prompts):
            return
        prompt = history + ask(prompts[turn])
        seed = (place[0] * 5 + place[1]) * n + place[2]
        request = Request(
            prompt, NEW, 0.0 if greedy else TEMPERATURE, TOP_P,
            seed=seed, stops=TURN_STOPS, keep_end=True,
        )  # fmt: skip
        running[engine.submit(request)] = (place, prompt)

    for problem, case, sample in _places(problems, n):
        submit((problem, case, sample), HEADER)
    while running:
        for number, done in engine.step().items():
            place, prompt = running.pop(number)
            code = done.text.strip()
            tally.codes[place].append(code)
            tally.generations += 1
            submit(place, f"{prompt}{code}\n\n")
    tally.seconds = time.perf_counter() - start
    tally.programs, tally.tokens = len(tally.codes), engine.counters.new_tokens
    return tally


class Reference:
    """The released sampler on transformers."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)

    def run(
        self, problems: Sequence[Problem], n: int, turns: int = 9, *, greedy: bool = False
    ) -> Tally:
        """Sample problem by problem and case by case."""
        tally, start = Tally(), time.perf_counter()
        self._torch.manual_seed(0)
        for problem, each in enumerate(problems):
            for case in range(len(each.cases)):
                histories = [HEADER] * n
                codes: list[list[str]] = [[] for _ in range(n)]
                for prompt in each.filled(case)[:turns]:
                    histories = [history + ask(prompt) for history in histories]
                    for sample, text in enumerate(self._generate(histories, greedy, tally)):
                        cut = find_cut(text, TURN_STOPS)
                        code = (text[: cut.position] if cut else text).strip()
                        codes[sample].append(code)
                        histories[sample] += f"{code}\n\n"
                for sample in range(n):
                    tally.codes[problem, case, sample] = codes[sample]
                tally.programs += n
        tally.seconds = time.perf_counter() - start
        return tally

    def _generate(self, histories: list[str], greedy: bool, tally: Tally) -> list[str]:
        torch, end = self._torch, self._tokenizer.eos_token_id
        rows = [self._tokenizer(history).input_ids for history in histories]
        longest = max(map(len, rows))
        longest = min(longest, self._model.config.n_positions - NEW)
        rows = [row[-longest:] for row in rows]
        ids = torch.tensor([[end] * (longest - len(row)) + row for row in rows])
        how = {} if greedy else {"temperature": TEMPERATURE, "top_p": TOP_P}
        with torch.no_grad():
            out = self._model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=not greedy,
                min_new_tokens=None if greedy else NEW, max_new_tokens=NEW, pad_token_id=end, **how,
            )  # fmt: skip
        tally.generations += len(rows)
        tally.tokens += out[:, longest:].numel()
        return self._tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)


def _places(problems: Sequence[Problem], n: int) -> list[tuple[int, int, int]]:
    return [
        (problem, case, sample)
        for problem, each in enumerate(problems)
        for case in range(len(each.cases))
        for sample in range(n)
    ]


def agree(ours: Tally, theirs: Tally) -> float:
    """Return the share of greedy conversations with the same code in every turn."""
    same = [ours.codes[place] == theirs.codes[place] for place in theirs.codes]
    return sum(same) / len(same)


def growth(model: Model, reference: Reference) -> dict[str, dict[int, tuple[float, float]]]:
    """Measure seconds, ours and theirs, for more samples, turns and problems of one case each."""
    each = [Problem(problem.prompts, problem.cases[:1]) for problem in PROBLEMS]
    two, found = each[:2], {}
    sizes = {
        "samples of a problem": {n: (two, n, 9) for n in (1, 4, 16, 32)},
        "turns": {turns: (two, 8, turns) for turns in (1, 2, 3, 4)},
        "problems": {count: (each[:count], 8, 9) for count in (1, 2, 4, 6)},
    }
    for name, work in sizes.items():
        found[name] = {}
        for size, (problems, n, turns) in work.items():
            run_ours(model, problems, n, turns)  # compiles
            ours = run_ours(model, problems, n, turns)
            found[name][size] = (ours.seconds, reference.run(problems, n, turns).seconds)
            print(name, size, *(f"{value:.2f} s" for value in found[name][size]), flush=True)
    return found


def plot(found: dict[str, dict[int, tuple[float, float]]], path: Path) -> None:
    """Draw how the cost grows."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(11, 3.6), sharey=True)
    for axis, (name, values) in zip(axes, found.items(), strict=True):
        sizes = list(values)
        for place, label in enumerate(("Jaxformer", "reference sampler on transformers")):
            axis.plot(sizes, [values[size][place] for size in sizes], "o-", label=label)
        axis.set(xlabel=name, yscale="log", xticks=sizes)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds")
    axes[0].legend(loc="center right", fontsize=8, bbox_to_anchor=(1, 0.55))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(
    model: Annotated[str, typer.Option(help="A model folder, or nano.")] = "nano",
    samples: Annotated[int, typer.Option("-n", help="Samples of each case.")] = 8,
    rounds: Annotated[int, typer.Option(help="How often each takes its turn.")] = 3,
    picture: Annotated[
        Path | None, typer.Option("--plot", help="Measure how the cost grows; draw it here.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Compare the two and print a table."""
    loaded, reference = jf.load(model), Reference(find(model))
    same = agree(
        run_ours(loaded, PROBLEMS, 1, greedy=True), reference.run(PROBLEMS, 1, greedy=True)
    )
    print(f"greedy, one at a time: {same:.0%} of the conversations have the same code", flush=True)
    if same < 0.9:
        raise SystemExit("They compute something else.")
    run_ours(loaded, PROBLEMS, samples)  # compiles
    runs = []
    for turn in range(rounds):
        done: dict[int, Tally] = {}
        for place in (0, 1) if turn % 2 else (1, 0):
            run = reference.run if place else partial(run_ours, loaded)
            done[place] = run(PROBLEMS, samples)
        runs.append((done[0], done[1]))
        print(f"round {turn + 1} of {rounds}: {done[0].seconds:.1f} s, {done[1].seconds:.1f} s",
              flush=True)  # fmt: skip
    print(f"\n{loaded.name}, {len(PROBLEMS)} problems, 5 cases, n = {samples}; float32, "
          f"{len(os.sched_getaffinity(0))} threads, {datetime.date.today()}")  # fmt: skip
    print("| | seconds | programs/s | generations | tokens generated |\n|---|---|---|---|---|")
    for place, label in enumerate(("Jaxformer", "reference sampler on transformers")):
        spent = [run[place].seconds for run in runs]
        one = runs[0][place]
        middle = statistics.median(spent)
        print(f"| {label} | {middle:.2f} ({min(spent):.2f}–{max(spent):.2f}) "
              f"| {one.programs / middle:.1f} | {one.generations} | {one.tokens} |")  # fmt: skip
    ratios = [theirs.seconds / ours.seconds for ours, theirs in runs]
    print(f"{statistics.median(ratios):.1f} x ({min(ratios):.1f}–{max(ratios):.1f})")
    found = growth(loaded, reference) if picture else {}
    if picture:
        plot(found, picture)
    if out:
        out.write_text(json.dumps({"ratios": ratios, "growth": found}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    typer.run(main)
