"""The pages that a run serves, in a browser: quiet, named, readable by eye and by keyboard, on narrow screens, too."""

import pytest

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.served.server import serve_pages
from tests.ui.browser import blank_pictures, faint_texts, nameless_pictures, overflow, tab_through, visit

NAMES = ("list", "catalog", "shard", "missing")


@pytest.fixture(scope="module")
def addresses(tiny_dataset):
    paths = DatasetPaths(tiny_dataset)
    shard = next(paths.shards.glob("train-*.h5")).stem
    with serve_pages(paths) as address:
        home = f"{address}/tiny/"
        pages = (home, f"{home}catalog", f"{home}shards/{shard}", f"{home}none")
        yield dict(zip(NAMES, pages, strict=True))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def seen(browser, addresses, name):
    with visit(browser, addresses[name]) as visited:
        yield visited


def test_it_asks_for_nothing_but_itself_and_the_console_stays_quiet(seen, addresses, name):
    # A browser itself asks for a site's icon, and tells of a page that is not there.
    told = [error for error in seen.errors if not (name == "missing" and "404" in error)]

    assert told == []
    assert seen.requests == [addresses[name]]


def test_it_has_a_heading_and_every_picture_has_a_text_and_shows_something(seen, name):
    assert seen.page.locator("h1").count() == 1
    assert (seen.page.locator("svg, img").count() > 0) == (name in {"catalog", "shard"})
    assert nameless_pictures(seen.page) == []
    assert blank_pictures(seen.page, "figure svg, img[alt*='colour']") == []


def test_every_text_stands_out_from_what_lies_behind_it(seen):
    assert faint_texts(seen.page) == []


def test_the_keyboard_reaches_every_link_and_shows_where_it_is(seen):
    links = seen.page.locator("a[href]").count()

    reached = tab_through(seen.page)

    assert len([one for one in reached if one["tag"] == "a"]) == links
    assert [one["text"] for one in reached if one["outline"] < 2] == []


def test_nothing_sticks_out_sideways_on_a_narrow_screen(browser, addresses, name):
    with visit(browser, addresses[name], width=390) as visited:
        assert overflow(visited.page) == 0


def test_wide_tables_can_be_reached_and_scrolled_by_keyboard(browser, addresses, name):
    with visit(browser, addresses[name], width=390) as visited:
        unreachable = visited.page.evaluate(
            """() => [...document.querySelectorAll("*")].filter((one) => one.scrollWidth > one.clientWidth + 1
              && ["auto", "scroll"].includes(getComputedStyle(one).overflowX) && one.tabIndex < 0)
              .map((one) => one.outerHTML.slice(0, 80))"""
        )

        assert unreachable == []
