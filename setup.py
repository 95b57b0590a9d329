"""Builds the native kernels; everything else is in pyproject.toml."""

from pathlib import Path

import jaxlib
from setuptools import Extension, setup

SOURCES = Path("src/jaxformer/model/native/csrc")

kernels = Extension(
    "jaxformer.model.native.kernels",
    sorted(str(path) for path in SOURCES.glob("*.cc")),
    depends=sorted(str(path) for path in SOURCES.glob("*.h")),
    include_dirs=[str(Path(jaxlib.__file__).parent / "include")],
    # Fused products and sums must be the same wherever a value is computed: see vectors.h.
    extra_compile_args=["-std=c++20", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-w"],
    extra_link_args=["-pthread"],
    language="c++",
    optional=True,  # without a compiler everything works on plain XLA
)
setup(ext_modules=[kernels])
