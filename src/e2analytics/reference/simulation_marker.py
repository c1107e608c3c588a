"""What says that a drop is synthetic, and where its truth lies. Importable without the simulator itself."""

from typing import Final

MARKER_NAME: Final = "SIMULATED.json"
GENERATOR: Final = "e2analytics simulate"
TRUTH_NAME: Final = "truth"
