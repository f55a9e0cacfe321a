"""A browser for all tests of pages, and small datasets whose pages they look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: tests may run as root. The rest keeps the browser from calling home.
_OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Yield a headless Chromium, by playwright's synchronous interface."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[ui]'")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(_OPTIONS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def tiny_dataset(small_output: Path) -> Path:
    """Return the directory of the smallest made-up dataset, finished, with its pages; tests must not change it."""
    return small_output
