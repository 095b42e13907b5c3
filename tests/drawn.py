"""Whether what the tests draw is drawn anew.

Else it is the same every time, so that a change is judged by what it changes; CI draws anew every night.
"""

from __future__ import annotations

import os

DRAWN_ANEW = bool(os.environ.get("JOURNEYS_NEW_EXAMPLES"))
