"""Print conversations in transcript form, what there is, how various and how right it is."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from jaxformer.data.exercises import conversations, diversity, programs, verify
from jaxformer.sandbox import Pool
from jaxformer.transcript import render


def _prompts(path: Path) -> Iterator[str]:
    """The prompts of a benchmark in MTPB's schema, filled in for every case."""
    for line in path.read_text("utf-8").splitlines():
        problem = json.loads(line)
        for inputs in problem["inputs"]:
            yield from (prompt.format(**inputs) for prompt in problem["prompts"])


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--programs", action="store_true", help="whole programs instead")
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--operations", action="store_true", help="list the operations")
    show.add_argument("--statistics", action="store_true", help="count what differs")
    show.add_argument("--overlap", type=Path, metavar="FILE", help="what else has such prompts")
    show.add_argument("--verify", action="store_true", help="run them again in the sandbox")
    arguments = parser.parse_args()
    made = (programs if arguments.programs else conversations)(arguments.seed, arguments.count)
    if arguments.operations:
        print("\n".join(diversity.listing()))
    elif arguments.overlap:
        shared = diversity.overlap(made, _prompts(arguments.overlap))
        print(f"{len(shared)} runs of eight words are shared; prompts that have each:")
        for words, count in shared.most_common():
            print(f"{count:>7,}  {words}")
    elif arguments.verify:
        found = 0
        with Pool() as pool:
            for exercise, result in verify.wrong(made, pool):
                found += 1
                print(f"{render(exercise.turns)}--- {result.status}\n{result.stdout}---\n")
        print(f"{arguments.count - found:,} of {arguments.count:,} ran and printed what they say.")
    elif arguments.statistics:
        for name, value in diversity.statistics(made).items():
            print(f"{name:<32}{value:>10,}")
    else:
        for exercise in made:
            print(f"{render(exercise.turns)}--- prints\n{exercise.output}---\n")


if __name__ == "__main__":
    main()
