"""Loaded by the server of workers alone, which has no other hook: what it prints about a worker that cannot be born.

Such a worker is one whose parent has just ended. Nothing else imports this module.
"""

import os
import sys

from gcn_luigi.luigi_host.worker import log_ignored

if os.environ.get("GCN_QUIET_WORKERS") == "1":
    sys.excepthook = log_ignored
