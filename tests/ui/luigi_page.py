"""Luigi's own page in a browser: its list, its graph, its workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

_PAGE = "static/visualiser/index.html"


@contextmanager
def luigi_page(browser: Any, address: str, width: int = 1400, height: int = 1000) -> Iterator["LuigiPage"]:
    """Open the page of the scheduler at `address`; nothing but this machine is reached."""
    context = browser.new_context(viewport={"width": width, "height": height})
    # Its style sheet asks for a font from elsewhere, and waits for it.
    context.route(
        "**/*",
        lambda route: route.continue_() if urlsplit(route.request.url).hostname == "127.0.0.1" else route.abort(),
    )
    try:
        yield LuigiPage(context.new_page(), address)
    finally:
        context.close()


class LuigiPage:
    """What a user does with the page."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self._address = page, address

    def open(self, fragment: str, ready: str) -> Any:
        """Show a tab as it is now; wait until `ready` is there."""
        self.page.goto(f"{self._address}/{_PAGE}#{fragment}")
        # The page reads what stands behind # when it is loaded.
        self.page.reload()
        self.page.wait_for_selector(ready)
        return self.page

    def graph(self, task_id: str) -> list[str]:
        """Show the graph of a task; return the labels in it."""
        self.open(f"tab=graph&taskId={task_id}", "#graphPlaceholder svg .graph-node-a")
        labels = self.page.locator("#graphPlaceholder svg .graph-node-a text").all_text_contents()
        return [text.strip() for text in labels]

    def counters(self) -> dict[str, int]:
        """Show the list; return the number in each box above it."""
        self.open("tab=tasks", "#taskTable tbody tr td.details-control")
        boxes = self.page.locator(".info-box")
        texts = [box.inner_text().split("\n") for box in boxes.all()]
        return {lines[0].removesuffix(" TASKS"): int(lines[-1]) for lines in texts if lines[-1].strip().isdigit()}

    def rows(self, text: str) -> Any:
        """Show the list; return its rows that hold `text`."""
        self.counters()
        self.page.locator("#taskTable_length select, select[name='taskTable_length']").first.select_option("100")
        self.page.locator("#taskTable_filter input").fill(text)
        return self.page.locator("#taskTable tbody tr", has_text=text)

    def workers(self) -> Any:
        """Show the workers; return the rows of what runs."""
        self.open("tab=workers", ".worker-table tbody tr")
        return self.page.locator(".worker-table tbody tr")
