#!/usr/bin/env python3
"""Records what vLLM's scheduler does with the connector that keeps KV blocks in host memory.

    record_offloading.py [-o DIR] [--seeds A-B]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import sys

from offloading_workloads import KINDS, offloading_document
from record_connectors import record_kinds

# Of other seeds, for what happens in none of the first: requests are looked up while their own stores are under way
# (slow), what one that has ended leaves to be stored is in blocks that others have already (slow, outputs), and an answer
# is broken off inside its prompt and inside a block of it (aborts).
BESIDE = [("slow", True, 2), ("outputs", True, 4), ("aborts", True, 15), ("aborts", True, 56)]

if __name__ == "__main__":
    sys.exit(record_kinds(__doc__, "kv_offloading", (0, 0), list(KINDS), offloading_document, BESIDE))
