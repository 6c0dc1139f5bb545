"""The errors that Astromer raises: few, and each also a builtin's child.

A message says which rule was broken, then `Received: name=value`, then what to
do next. `unknown_name` writes the common one: a name that does not exist.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "AstromerError",
    "ConfigError",
    "LightCurveError",
    "PresetError",
    "RecordError",
    "RunError",
    "SurveyError",
    "WorkerError",
    "unknown_name",
]


class AstromerError(Exception):
    """Base of every error that Astromer raises on purpose."""


class ConfigError(AstromerError, ValueError):
    """An option or a combination of options that cannot work."""


class LightCurveError(AstromerError, ValueError):
    """Observations that do not make a light curve."""


class SurveyError(AstromerError, ValueError):
    """A survey file that cannot be read; names the file and, if known, the line."""


class RecordError(AstromerError, ValueError):
    """Records or a manifest that are damaged, foreign, or do not fit each other."""


class PresetError(AstromerError, LookupError):
    """A preset that does not exist, is damaged, or does not fit the model."""

    def __str__(self) -> str:
        # LookupError prints its argument's repr; a sentence reads better.
        return str(self.args[0]) if self.args else ""


class RunError(AstromerError, RuntimeError):
    """A training run that cannot start, go on or be read."""


class WorkerError(AstromerError, ConnectionError):
    """A process of a training on several hosts that did not come, or was lost."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Write the message for a name that does not exist.

    Parameters
    ----------
    kind : str
        What the name stands for, e.g. ``"survey"``.
    name : str
        The name received.
    known : iterable of str
        The names that exist.

    Returns
    -------
    message : str
        Names the ones that exist and suggests the nearest.

    Examples
    --------
    >>> unknown_name("survey", "machoo", ["macho", "atlas"])
    'Unknown survey. Received: survey="machoo". Did you mean "macho"? Known: atlas, macho.'
    """
    names = sorted(known)
    by_lower = {known_name.lower(): known_name for known_name in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f' Did you mean "{by_lower[close[0]]}"?' if close else ""
    listed = ", ".join(names) if names else "none"
    return f'Unknown {kind}. Received: {kind}="{name}".{hint} Known: {listed}.'
