"""How much memory this process may use."""

import os

from jaxformer.model.memory import host_memory


def test_a_containers_limit_counts(tmp_path):
    """As the kernel shows it; the machine's memory is the most."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = tmp_path / "memory.max"
    assert host_memory(tmp_path) == whole
    limit.write_text("max\n", "utf-8")
    assert host_memory(tmp_path) == whole
    limit.write_text("1073741824\n", "utf-8")
    assert host_memory(tmp_path) == min(whole, 1 << 30)
    limit.write_text(f"{4 * whole}\n", "utf-8")
    assert host_memory(tmp_path) == whole
