"""The quality page in a browser: whole, quiet, readable by eye, by keyboard and on paper."""

import hashlib

import pytest

from gcn_luigi.io.publish.paths import DatasetPaths
from tests.ui.browser import (
    blank_pictures,
    faint_texts,
    keyboard_problems,
    nameless_pictures,
    overflow,
    printed_pages,
    visit,
)
from tests.ui.pictures import keep


@pytest.fixture(scope="module")
def path(tiny_dataset):
    return DatasetPaths(tiny_dataset).report


@pytest.fixture(scope="module")
def seen(browser, path):
    with visit(browser, path) as visited:
        yield visited


def test_it_asks_for_nothing_but_itself_and_the_console_stays_quiet(seen, path):
    assert seen.errors == []
    assert seen.requests == [path.as_uri()]


def test_every_picture_has_a_text_and_shows_something(seen):
    assert seen.page.locator("figure svg").count() >= 6
    assert seen.page.locator("img").count() >= 6
    assert nameless_pictures(seen.page) == []
    assert blank_pictures(seen.page, "figure svg, img[alt*='false colour']") == []


def test_the_graph_is_drawn_with_the_times_of_its_tasks(seen):
    graph = seen.page.locator("#tasks figure svg")

    said = graph.locator("text").all_text_contents()
    assert {"TileInventory", "ChipShard", "Dataset"} <= set(said)
    assert sum(line.startswith(("took ", "longest ")) for line in said) >= 10
    assert seen.page.locator("#tasks tbody tr").count() == graph.locator("rect").count()


def test_no_text_of_the_graph_sticks_out_of_its_box(seen):
    wide = seen.page.evaluate(
        """() => {
          const boxes = [...document.querySelectorAll("#tasks figure rect")].map((one) => one.getBoundingClientRect());
          return [...document.querySelectorAll("#tasks figure text")].filter((one) => {
            const text = one.getBoundingClientRect();
            return !boxes.some((box) => box.left <= text.left && text.right <= box.right
              && box.top <= text.top && text.bottom <= box.bottom);
          }).map((one) => one.textContent);
        }"""
    )

    assert wide == []


def test_every_stored_shard_is_told_with_its_digest(seen, path):
    paths = DatasetPaths(path.parent)
    said = seen.page.locator("#origin").inner_text()

    for shard in sorted(paths.shards.iterdir()):
        assert shard.name in said
        assert hashlib.sha256(shard.read_bytes()).hexdigest() in said


def test_every_text_stands_out_from_what_lies_behind_it(seen):
    assert faint_texts(seen.page) == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, path):
    assert keyboard_problems(browser, path, "#checks") == []


def test_the_skip_link_leads_to_the_checks(browser, path):
    with visit(browser, path) as visited:
        visited.page.keyboard.press("Tab")
        visited.page.keyboard.press("Enter")

        assert visited.page.evaluate("location.hash") == "#checks"


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_sticks_out_sideways(browser, path, width):
    with visit(browser, path, width=width) as visited:
        assert overflow(visited.page) == 0


def test_it_prints_on_several_pages(browser, path):
    with visit(browser, path) as visited:
        assert printed_pages(visited.page) >= 4


def test_no_figure_is_wider_than_the_paper(browser, path):
    with visit(browser, path, width=688) as visited:
        visited.page.emulate_media(media="print")

        wide = visited.page.evaluate(
            "[...document.querySelectorAll('figure svg, table')].map(one => one.getBoundingClientRect().right)"
        )

        # A4 less margins, in CSS pixels.
        assert max(wide) <= 688 + 1


@pytest.mark.long
def test_the_page_of_the_demo_is_the_picture_of_the_documentation(browser, demo_output):
    with visit(browser, DatasetPaths(demo_output).report, height=1040) as visited:
        page = visited.page
        top = page.screenshot()
        keep("quality-page.png", top)
        page.evaluate("document.querySelector('#chips h3').scrollIntoView({behavior: 'instant'})")
        keep("quality-page-chips.png", page.screenshot())
        assert visited.errors == []
        assert page.locator("h1").inner_text() == "demo"
        assert top != page.screenshot()
