import resource
import sys

import pytest
import torch

from golden.memory import keep_freed_memory

PAGE = 4096


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is done elsewhere")
def test_freed_memory_is_used_again_and_not_given_back():
    """64 MiB, which glibc would give back; a page that comes back is a fault when touched. The
    first ten or so leave holes, a little too small for the next, until glibc joins them."""
    keep_freed_memory()

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**26, dtype=torch.uint8)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    for _ in range(20):
        faults()
    assert sum(faults() for _ in range(10)) < 2**26 / PAGE / 10
