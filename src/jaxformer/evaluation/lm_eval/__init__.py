"""Tasks of the LM Evaluation Harness; `--include_path` takes the folder `FOLDER`."""

from pathlib import Path

FOLDER = Path(__file__).parent
