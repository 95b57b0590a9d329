"""Running exercises again in the sandbox, apart from the process that made them."""

from collections import deque
from collections.abc import Iterable, Iterator

from jaxformer.data.exercises.exercise import Exercise
from jaxformer.sandbox import Pool, Result
from jaxformer.transcript import program


def wrong(made: Iterable[Exercise], pool: Pool) -> Iterator[tuple[Exercise, Result]]:
    """Yield the exercises that do not run, or print something other than they say."""
    asked: deque[Exercise] = deque()

    def sources() -> Iterator[str]:
        for exercise in made:
            asked.append(exercise)
            yield program(exercise.turns)

    for result in pool.map(sources()):
        exercise = asked.popleft()
        if result.status != "ok" or result.stdout != exercise.output:
            yield exercise, result
