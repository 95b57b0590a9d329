"""The tasks of the LM Evaluation Harness ask and judge as our own evaluation does."""

import json
from pathlib import Path

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from jaxformer.evaluation.lm_eval import FOLDER
from jaxformer.evaluation.problems import read_problems
from jaxformer.transcript import HEADER

PROBLEMS = [
    {
        "id": "a", "prompts": ["Set x to {x}.", "Print x times {n}."],
        "inputs": [{"x": 2, "n": 3}, {"x": 5, "n": 4}], "outputs": [6, 20],
        "solution": ["x = {x}", "print(x * {n})"],
    },
    {
        "id": "b", "prompts": ["Set word to '{word}'.", "Print it in capitals."],
        "inputs": [{"word": "tea"}], "outputs": ["TEA"],
        "solution": ["word = '{word}'", "print(word.upper())"],
    },
]  # fmt: skip


class Solver(LM):
    """Knows the solutions, but not of the second case of problem a; it goes on talking."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._answers: dict[str, str] = {}
        for problem in read_problems(file):
            for case in range(len(problem.cases)):
                codes = ["print('?')"] if problem.id == "a" and case else problem.solved(case)
                self._answers[problem.filled(case)[0]] = "\n".join(codes)
                self._answers[problem.filled(case)[-1]] = codes[-1]

    def generate_until(self, requests: list[Instance], *_: object, **__: object) -> list[str]:
        self.asked += [request.args[0] for request in requests]
        last = [text.rstrip("\n").split("\n") for text in self.asked]
        prompts = [lines[-2 if len(lines) == 6 else -1].removeprefix("# ") for lines in last]
        return [self._answers[prompt] + "\n# And then?\nexit()" for prompt in prompts]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise NotImplementedError


@pytest.mark.parametrize("form", ["single", "last"])
def test_the_harness_gives_the_mean_over_problems(tmp_path: Path, form: str):
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS), "utf-8")
    solver = Solver(file)
    manager = TaskManager(include_path=str(FOLDER), metadata={"problems": str(file)})
    task = {"single": "jaxformer_mtpb_single", "last": "jaxformer_turns_last"}[form]
    found = evaluate(solver, manager.load(task), bootstrap_iters=0)
    assert found is not None
    results: dict = found.get("results", {})
    assert results[task]["pass_rate,none"] == pytest.approx((1 / 2 + 1) / 2)
    history = "" if form == "single" else "x = 2\n\n"
    assert solver.asked[0] == f"{HEADER}# Set x to 2.\n{history}# Print x times 3.\n"


def test_turns_is_there_whole():
    manager = TaskManager(include_path=str(FOLDER))
    task = manager.load("jaxformer_turns_single")["tasks"]["jaxformer_turns_single"]
    assert len(list(task.test_docs())) == 192 * 5
