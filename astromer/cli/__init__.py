"""The command line: `astromer VERB`. The only room that prints.

Polars, pandas, Keras and TensorFlow are imported inside the commands that need them,
so that `astromer --help` is instant.
"""

from astromer.cli.app import main

__all__ = ["main"]
