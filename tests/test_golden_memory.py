import resource
import sys

import pytest
import torch

from golden.memory import keep_freed_memory

PAGE = 4096


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is done elsewhere")
def test_freed_memory_is_used_again_and_not_given_back():
    """64 MiB, which glibc would give back; a page that comes back is a fault when touched."""
    keep_freed_memory()

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**26, dtype=torch.uint8)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 2**26 / PAGE / 10
