"""In CI hypothesis tries the same cases each time: a red run then speaks of the change under test.

Elsewhere it looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
