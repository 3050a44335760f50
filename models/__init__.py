"""The networks. State-dict keys follow the published weights; nothing here launches a kernel."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TRAINED = FOLDER / "trained"  # what was downloaded, or trained here
BUNDLED = FOLDER / "bundled"  # what ships
