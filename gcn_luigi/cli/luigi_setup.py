"""Luigi's settings: given before it is imported, and checked."""

import logging
import os
from pathlib import Path

from gcn_luigi.luigi_host.cfg_files import check_readable, choose_cfg, find_files


def configure_luigi() -> None:
    """Give Luigi its settings before it is imported, for this process and the workers that inherit them.

    Raises ConfigError for settings that Luigi could not read, would ignore or would misunderstand.
    """
    choose_cfg()
    check_readable(find_files(os.environ, Path.cwd()))
    os.environ["GCN_QUIET_WORKERS"] = "1"
    # The scheduler is on this machine, whatever proxy leads out of it.
    direct = {os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")} - {""}
    os.environ["no_proxy"] = ",".join(sorted({*direct, "127.0.0.1"}))
    logging.getLogger("luigi-interface").addHandler(logging.NullHandler())
    logging.getLogger("luigi").addHandler(logging.NullHandler())
    import gcn_luigi.tasks  # noqa: PLC0415  their families are sections of these settings
    from gcn_luigi.luigi_host.cfg_check import check_settings  # noqa: PLC0415

    del gcn_luigi
    check_settings()
