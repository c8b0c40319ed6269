"""The suites that ship with skewbench: found by name, whether run from a checkout or an installed package."""

from pathlib import Path

FOLDER = Path(__file__).parent
