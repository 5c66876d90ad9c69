"""``python -m minitutor``."""

from __future__ import annotations

import sys

from minitutor.cli import main

if __name__ == "__main__":
    sys.exit(main())
