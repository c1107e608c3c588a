"""The marker of simulated drops, and the folder of their truth. Importable without the simulator itself."""

from pathlib import Path
from typing import Final

MARKER_NAME: Final = "SIMULATED.json"
GENERATOR: Final = "e2analytics simulate"
TRUTH_NAME: Final = "truth"


def is_simulated(drop: Path) -> bool:
    """Tell whether a drop carries the simulator's marker."""
    return (drop / MARKER_NAME).is_file()
