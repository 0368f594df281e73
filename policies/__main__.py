"""The policy pack. `pulumi preview --policy-pack policies` runs it.

Bounds that a stack file has are read there, by the name of the stack. Levels are told by `--policy-pack-config`.
"""

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.server import serve
from stacks.bounds import configured

if __name__ == "__main__":
    serve(cache(configured))
