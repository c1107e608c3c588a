"""A simulated drop as suppliers would send it: the same cohort in every format that is read.

In    a canonical drop of :func:`e2analytics.simulate.simulate`
Out   a folder for each format, each a whole drop: what the format cannot carry lies beside it as
      canonical CSV

The truth does not change with the format. What a format cannot say is lost from its drop: the module
of the format names it.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from e2analytics.reference.simulation_marker import MARKER_NAME
from e2analytics.simulate.exports import (
    european,
    fhir,
    hl7,
    hologic,
    laboratories,
    lunar,
    parquet,
    pharmacy,
    workbook,
)
from e2analytics.simulate.exports.tables import Tables, read_drop, write_canonical

_WRITERS: Final[Mapping[str, Callable[[Path, Tables], Tables]]] = {
    "excel": workbook.write,
    "parquet": parquet.write,
    "hl7v2": hl7.write,
    "fhir": fhir.write,
    "labcorp_like": laboratories.write_labcorp_like,
    "quest_like": laboratories.write_quest_like,
    "pharmacy_dispensing": pharmacy.write,
    "hologic_apex": hologic.write,
    "lunar_like": lunar.write,
    "european_csv": european.write,
}
FORMATS: Final = tuple(_WRITERS)


def write_exports(folder: Path, drop: Path, formats: Iterable[str]) -> list[Path]:
    """Write a canonical drop in other formats.

    Parameters
    ----------
    folder : Path
        Gets one folder for each format, called like it; files of an earlier export are replaced.
    drop : Path
        The canonical drop.
    formats : iterable of str
        Some of `FORMATS`.

    Returns
    -------
    list of Path
        The folders.

    Raises
    ------
    ValueError
        If a format is none of `FORMATS`.
    """
    wanted = list(formats)
    if unknown := sorted(set(wanted) - set(FORMATS)):
        raise ValueError(f"formats are {', '.join(FORMATS)}; got {', '.join(unknown)}")
    tables = read_drop(drop)
    folders = []
    for name in wanted:
        into = folder / name
        into.mkdir(parents=True, exist_ok=True)
        write_canonical(into, _WRITERS[name](into, tables))
        shutil.copyfile(drop / MARKER_NAME, into / MARKER_NAME)
        folders.append(into)
    return folders
