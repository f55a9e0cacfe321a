"""What tests ask of a page in the browser: errors, requests, pictures, contrast, keyboard, paper."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

# Every run of text with its colour and its boxes on the page. Text that nobody sees is left out.
_TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    const isShown = !["STYLE", "SCRIPT", "TITLE", "DESC"].includes(holder.tagName.toUpperCase());
    if (!node.textContent.trim() || !isShown) continue;
    const style = getComputedStyle(holder);
    if (style.visibility === "hidden" || style.display === "none") continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()]
      .map((b) => [b.left + scrollX, b.top + scrollY, b.right + scrollX, b.bottom + scrollY])
      .filter(([left, top, right, bottom]) => right - left > 1 && bottom - top > 1 && right > 0 && bottom > 0);
    const colour = holder instanceof SVGElement ? style.fill : style.color;
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (boxes.length) found.push({text: node.textContent.trim().slice(0, 60), colour, large, boxes});
  }
  return found;
}"""
_NO_TEXT = """
* { color: transparent !important; text-decoration-color: transparent !important }
text { fill: transparent !important; stroke: transparent !important }
"""
_FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    tag: one.tagName.toLowerCase(), text: (one.getAttribute("aria-label") || one.textContent).trim().slice(0, 60),
    href: one.getAttribute("href"), role: one.getAttribute("role"),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    left: box.left + scrollX, top: box.top + scrollY,
  };
}"""
_NAMELESS = """() => [...document.querySelectorAll("img, svg, [role=img]")]
  .filter((one) => !(one.getAttribute("alt") || one.getAttribute("aria-label") || "").trim())
  .map((one) => one.outerHTML.slice(0, 120))"""


@dataclass
class Visit:
    """An open page, and what came up while it was open.

    Attributes
    ----------
    page : playwright Page
        The page.
    errors : list of str
        Console messages of level error, and uncaught exceptions.
    requests : list of str
        Addresses that were asked for, data URIs left out.
    """

    page: object
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def visit(browser, path: Path | str, width: int = 1280, height: int = 900) -> Iterator[Visit]:
    """Open a file, or an address, in a window of `width` x `height` CSS pixels."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    seen = Visit(page)
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith("data:") else seen.requests.append(asked.url))
    page.goto(path.as_uri() if isinstance(path, Path) else path)
    try:
        yield seen
    finally:
        context.close()


def nameless_pictures(page) -> list[str]:
    """Return the pictures that say nothing to those who do not see them."""
    return page.evaluate(_NAMELESS)


def blank_pictures(page, selector: str = "figure svg, img") -> list[str]:
    """Return the names of the pictures that show one colour alone."""
    blank = []
    for picture in page.locator(selector).all():
        pixels = _pixels(picture.screenshot())
        if len(np.unique(pixels.reshape(-1, 3), axis=0)) < 2:
            blank.append(picture.get_attribute("alt") or picture.get_attribute("aria-label"))
    return blank


def faint_texts(page, least: float = 4.5, least_large: float = 3.0) -> list[str]:
    """Return the texts that do not stand out from what lies behind them, with their contrast.

    Contrast is that of WCAG 2.1 (1.4.3) between the text's colour and the median of the pixels behind it, as the
    browser paints them without any text.
    """
    texts = page.evaluate(_TEXTS)
    style = page.add_style_tag(content=_NO_TEXT)
    behind = _pixels(page.screenshot(full_page=True))
    style.evaluate("one => one.remove()")
    faint = []
    for one in texts:
        red, green, blue, *alpha = (float(part) for part in re.findall(r"[\d.]+", one["colour"]))
        for left, top, right, bottom in one["boxes"]:
            part = behind[int(max(top, 0)) : int(bottom) + 1, int(max(left, 0)) : int(right) + 1]
            if not part.size:
                continue
            ground = np.median(part.reshape(-1, 3), axis=0)
            share = alpha[0] if alpha else 1.0
            ink = np.array([red, green, blue]) * share + ground * (1 - share)
            if (ratio := contrast(ink, ground)) < (least_large if one["large"] else least):
                faint.append(f"{one['text']!r}: {ratio:.2f}")
                break
    return faint


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the contrast of two colours, red, green and blue from 0 to 255: 1 to 21 (WCAG 2.1, 1.4.3)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def tab_through(page, most: int = 300) -> list[dict]:
    """Return what the Tab key reaches, in turn, until it leaves the page."""
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused["tag"] in {"body", "html"}:
            break
        reached.append(focused)
    return reached


def keyboard_problems(browser, path: Path, first: str) -> list[str]:
    """Return what is wrong with going through a page by the Tab key.

    Parameters
    ----------
    browser : playwright Browser
        The browser.
    path : Path
        The page.
    first : str
        Where the link leads that the first Tab must reach, and show.
    """
    with visit(browser, path) as visited:
        page = visited.page
        links, regions = page.locator("a[href]").count(), page.locator("[role=region][tabindex='0']").count()
        reached = tab_through(page)
    tops = [one["top"] for one in reached[1:]]
    found = {
        "the first Tab does not reach the skip link": reached[0]["href"] != first,
        "the skip link is not seen once it has the focus": (reached[0]["left"], reached[0]["top"]) <= (0, 0),
        "a link is not reached": len([one for one in reached if one["tag"] == "a"]) != links,
        "a region that scrolls is not reached": len([one for one in reached if one["role"] == "region"]) != regions,
        "the focus goes up the page": any(after < before - 1 for before, after in pairwise(tops)),
    }
    unseen = [f"no outline: {one['text']}" for one in reached if one["outline"] < 2]
    return [*(problem for problem, is_so in found.items() if is_so), *unseen]


def overflow(page) -> int:
    """Return how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def printed_pages(page) -> int:
    """Return the number of A4 pages that the page takes on paper."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4", print_background=True)))


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _luminance(colour: np.ndarray) -> float:
    part = np.asarray(colour, float) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
