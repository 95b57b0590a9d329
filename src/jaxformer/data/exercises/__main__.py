"""Print conversations in transcript form."""

import argparse

from jaxformer.data.exercises import conversations
from jaxformer.transcript import render


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5)
    arguments = parser.parse_args()
    for exercise in conversations(arguments.seed, arguments.count):
        print(f"{render(exercise.turns)}--- prints\n{exercise.output}---\n")


if __name__ == "__main__":
    main()
