"""Every error that e2analytics raises on purpose, with the exit code a scheduler sees.

::

    E2AnalyticsError              1   anything unforeseen
    ├── UnreadableError          10   a file or folder cannot be read
    │   └── RefusedFileError     10   one file of a drop; the run goes on without it
    ├── ContractError            11   a table does not keep its contract
    ├── TooLittleDataError       12   too little data for what was asked
    ├── StoreError               13   the store is unusable, busy or of another version
    └── ConfigurationError       14   the configuration or the key is wrong

A message says where, which rule, how many and what to do next; it never says who: no value
and no identifier of a patient may be put into one.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

EXIT_INCOMPLETE = 11
"""Exit code of a run that was published without a file it had to refuse."""


EXIT_TERMINATED = 128 + 15
"""Exit code of a run that a scheduler ended by SIGTERM, as shells count it."""


def is_stop(error: BaseException) -> bool:
    """Return whether a run was asked to stop, which is no defect: by Ctrl-C, an exit or SIGTERM.

    Prefect raises SIGTERM as its own ``TerminationSignal``, known here by name: to import it takes seconds.
    """
    stops = (KeyboardInterrupt, SystemExit, GeneratorExit)
    return isinstance(error, stops) or type(error).__name__ == "TerminationSignal"


class E2AnalyticsError(Exception):
    """Root of the tree."""

    exit_code: ClassVar[int] = 1


class UnreadableError(E2AnalyticsError):
    """A file or folder cannot be read."""

    exit_code = 10


class RefusedFileError(UnreadableError):
    """One file of a drop cannot be used as a whole.

    Parameters
    ----------
    rule : str
        Name of the rule of ``file_rules`` in ``schemas/reference/row_rules.yaml`` that the file breaks.
    detail : str
        What was found, without any value of a patient.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


class ContractError(E2AnalyticsError):
    """A table that e2analytics made, or a store that it reads, does not keep its contract."""

    exit_code = 11

    def __init__(self, stage: str, table: str, broken: Mapping[str, int]) -> None:
        cases = "\n".join(f"  {check}: {count}" for check, count in sorted(broken.items()))
        super().__init__(
            f"{stage} does not satisfy {table}; failing cases by check:\n{cases}\n"
            f"Compare the table with schemas/contracts/{table}.yaml."
        )


class TooLittleDataError(E2AnalyticsError):
    """There is too little data for what was asked."""

    exit_code = 12


class StoreError(E2AnalyticsError):
    """The store is unusable, in use by another run, or of another version."""

    exit_code = 13


class ConfigurationError(E2AnalyticsError):
    """The configuration or the key is wrong."""

    exit_code = 14


class UnforeseenError(E2AnalyticsError):
    """A defect of e2analytics or of its surroundings, described without the values that it met."""

    @classmethod
    def at(cls, stage: str, error: BaseException) -> UnforeseenError:
        """Name the place and the kind of ``error``; its message may quote patients and is left out."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "e2analytics" in frame.filename] or frames[-1:]
        places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(own[-4:]))
        return cls(
            f"{stage} failed with {type(error).__name__} at {places}. Report this line to the makers "
            "of e2analytics; `e2analytics status` shows the last run that was published."
        )
