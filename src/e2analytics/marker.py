"""The file that says a drop is synthetic. Importable without the simulator itself."""

from typing import Final

MARKER_NAME: Final = "SIMULATED.json"
GENERATOR: Final = "e2analytics simulate"
