"""How a run is run, which may differ each time that it is resumed.

None of it changes weights but for rounding, and but for `skip_bad` where a batch is bad.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxformer.training.computation import Layers


@dataclass(frozen=True)
class Options:
    """The flags of `jaxformer train`.

    Attributes:
        mesh: Devices along data, fsdp and tensor, such as `1x8x1`; chosen if not given.
        accumulate: Parts of a batch that are worked on one after the other; chosen if not given.
        kernel: The attention kernel, or `auto`.
        layers: Whether layers are compiled once and repeated (`scan`) or each written out
            (`unroll`).
        save_every: Steps between checkpoints.
        keep: Checkpoints that stay.
        report_every: Steps between lines of `metrics.jsonl`.
        evaluate_every: Steps between measures of the held-out loss and samples; a tenth of the
            stage if 0.
        samples: Prompts that are completed then.
        programs: A folder of conversations with what they print, whose pass rate is measured then.
        skip_bad: Whether to go on behind a batch whose loss is no number or a spike.
        trackers: `tensorboard`, `wandb`.
        profile: How many steps to profile, from the tenth on; 0 for none.
    """

    mesh: str | None = None
    accumulate: int | None = None
    kernel: str = "auto"
    layers: Layers = "auto"
    save_every: int = 200
    keep: int = 1
    report_every: int = 10
    evaluate_every: int = 0
    samples: tuple[str, ...] = ()
    programs: Path | None = None
    skip_bad: bool = False
    trackers: tuple[str, ...] = ()
    profile: int = 0
