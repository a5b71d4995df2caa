"""``python -m napari_wsseg.cli`` is ``wsseg``."""

import sys

from napari_wsseg.cli import main

sys.exit(main())
