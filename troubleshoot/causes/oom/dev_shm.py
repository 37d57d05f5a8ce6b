"""How a line of a log speaks of /dev/shm."""

from __future__ import annotations

import re

SHARED_MEMORY = re.compile(r"/dev/shm|\bshm\b|shared[_ ]memory|psm_|torch_\d+_|nccl-|/shm", re.IGNORECASE)
