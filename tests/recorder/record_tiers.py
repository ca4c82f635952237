#!/usr/bin/env python3
"""Records what vLLM's scheduler does with tiers of KV blocks behind host memory.

    record_tiers.py [-o DIR] [--seeds A-B]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import sys

from record_connectors import record_kinds
from tiering_workloads import KINDS, tiering_document

# Of other seeds, for what happens in none of the first: what a request asked tiers for is remembered beyond its end, by its own
# stores (aborts) or because no tier has answered (slow_aborts), and a tier that keeps up again gets every other store at
# first (backpressure).
BESIDE = [("aborts", False, 19), ("slow_aborts", False, 23), ("backpressure", False, 3)]

if __name__ == "__main__":
    sys.exit(record_kinds(__doc__, "kv_tiers", (2, 2), list(KINDS), tiering_document, BESIDE))
