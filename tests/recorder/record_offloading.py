#!/usr/bin/env python3
"""Records what vLLM's scheduler does with the connector that keeps KV blocks in host memory.

    record_offloading.py [-o DIR] [--seeds A-B]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import sys

from offloading_workloads import KINDS, offloading_document
from record_connectors import record_kinds

if __name__ == "__main__":
    sys.exit(record_kinds(__doc__, "kv_offloading", (0, 0), list(KINDS), offloading_document))
