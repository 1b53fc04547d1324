"""Makes this folder's `g1_frames` importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
