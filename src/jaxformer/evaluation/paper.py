"""Figures that the CodeGen paper publishes, to stand beside one's own.

arXiv:2203.13474; only those that were confirmed against a second source. Per cent.
"""

HUMANEVAL_MONO = {
    "350M": {"pass@1": 12.76, "pass@10": 23.11, "pass@100": 35.19},
    "2.7B": {"pass@1": 23.70, "pass@10": 36.64, "pass@100": 57.01},
    "6.1B": {"pass@1": 26.13, "pass@10": 42.29, "pass@100": 65.82},
    "16.1B": {"pass@1": 29.28, "pass@10": 49.86, "pass@100": 75.00},
}
MTPB_MONO = {
    "350M": {"multi-turn": 16.98, "single-turn": 5.75},
    "2.7B": {"multi-turn": 38.72},
    "6.1B": {"multi-turn": 43.52},
    "16.1B": {"multi-turn": 47.34, "single-turn": 38.74},
}
MBPP_MONO = {"6.1B": {"pass@1": 32.48}, "16.1B": {"pass@1": 35.28}}

TABLES = {"humaneval": HUMANEVAL_MONO, "mtpb": MTPB_MONO, "mbpp": MBPP_MONO}
"""By benchmark: CodeGen-Mono by size."""
