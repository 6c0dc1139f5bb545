"""`python -m astromer.cli` is `astromer`."""

import sys

from astromer.cli import main

sys.exit(main())
