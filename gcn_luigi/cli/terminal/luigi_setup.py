"""Luigi's settings: given before it is imported, and checked."""

import logging
import os
from importlib.resources import files
from pathlib import Path

from gcn_luigi.luigi_host.cfg_files import find_files, read_entries


def shipped_cfg() -> Path:
    """Return the luigi.cfg of this package."""
    return Path(str(files("gcn_luigi") / "luigi.cfg")).resolve()


def choose_cfg() -> None:
    """Name the shipped settings where the user has none: Luigi reads them when it is imported."""
    if "LUIGI_CONFIG_PATH" not in os.environ and not Path("luigi.cfg").is_file():
        os.environ["LUIGI_CONFIG_PATH"] = str(shipped_cfg())


def configure_luigi() -> None:
    """Give Luigi its settings, before it is imported.

    Raises
    ------
    ConfigError
        Luigi could not read them, or something in them would not be heard.
    """
    # Before Luigi is imported, and inherited by its workers.
    choose_cfg()
    for path in find_files(os.environ, Path.cwd()):
        read_entries(path)
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
