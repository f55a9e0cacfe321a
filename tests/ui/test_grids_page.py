"""The page of grid sizes in a browser: whole, quiet, readable by eye, by keyboard and on paper."""

import pytest

from gcn_luigi.config import load_region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.grids.page import write_grid_page
from tests.integration.commands import make_tiny
from tests.ui.browser import (
    blank_pictures,
    faint_texts,
    keyboard_problems,
    nameless_pictures,
    printed_pages,
    visit,
)


@pytest.fixture(scope="module")
def path(tiny_dataset, tmp_path_factory):
    root = tmp_path_factory.mktemp("grids")
    tiny = make_tiny(root)
    out = root / "grids.html"
    write_grid_page(load_region(tiny.config / f"{tiny.region}.toml", tiny.sources), DatasetPaths(tiny_dataset), out)
    return out


@pytest.fixture(scope="module")
def seen(browser, path):
    with visit(browser, path) as visited:
        yield visited


def test_it_asks_for_nothing_but_itself_and_the_console_stays_quiet(seen, path):
    assert seen.errors == []
    assert seen.requests == [path.as_uri()]


def test_every_picture_has_a_text_and_shows_something(seen):
    assert seen.page.locator("figure svg").count() == 2
    assert nameless_pictures(seen.page) == []
    assert blank_pictures(seen.page) == []


def test_every_text_stands_out_from_what_lies_behind_it(seen):
    assert faint_texts(seen.page) == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, path):
    assert keyboard_problems(browser, path, "#reading") == []


def test_it_prints_on_a_few_pages_and_nothing_is_wider_than_the_paper(browser, path):
    with visit(browser, path, width=688) as visited:
        assert 2 <= printed_pages(visited.page) <= 6
        visited.page.emulate_media(media="print")

        wide = visited.page.evaluate(
            "[...document.querySelectorAll('figure svg, table')].map(one => one.getBoundingClientRect().right)"
        )

        # A4 less margins, in CSS pixels.
        assert max(wide) <= 688 + 1
