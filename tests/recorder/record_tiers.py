#!/usr/bin/env python3
"""Records what vLLM's scheduler does with tiers of KV blocks behind host memory.

    record_tiers.py [-o DIR] [--seeds A-B]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import sys

from record_connectors import record_kinds
from tiering_workloads import KINDS, tiering_document

if __name__ == "__main__":
    sys.exit(record_kinds(__doc__, "kv_tiers", (2, 2), list(KINDS), tiering_document))
