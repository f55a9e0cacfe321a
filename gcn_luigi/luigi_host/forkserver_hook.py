"""Hook for the fork server, which has no other: it silences errors about workers whose parent has just ended.

Only the fork server imports this module.
"""

import os
import sys

from gcn_luigi.luigi_host.worker import log_ignored

if os.environ.get("GCN_QUIET_WORKERS") == "1":
    sys.excepthook = log_ignored
