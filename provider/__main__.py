"""The program that Pulumi starts as the provider."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi.provider import main

from provider.host import Components

if __name__ == "__main__":
    main(Components(), sys.argv[1:])
