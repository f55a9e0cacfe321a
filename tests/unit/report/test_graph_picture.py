"""The picture of the task graph and the times in it: every family, every arrow that matters, and the longest chain."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.report.graph_picture import Box, TaskTime, columns, draw_graph, families_of, reduced
from gcn_luigi.report.quality.durations import duration, family_time, longest_chain, make_durations
from tests.reference.html_page import Page

GRAPH = (
    TaskTime("scan()", "Scan", (), 1.0),
    TaskTime("cut(0)", "Cut", ("scan()",), 5.0),
    TaskTime("cut(1)", "Cut", ("scan()",), 7.5),
    TaskTime("list()", "List", ("cut(0)", "cut(1)", "scan()"), None),
    TaskTime("check()", "Check", ("scan()",), 2.0),
    TaskTime("close()", "Close", ("list()", "check()"), 0.25),
)


@st.composite
def graphs(draw):
    """Return tasks of which each requires some earlier ones, in any order."""
    count = draw(st.integers(0, 7))
    tasks = []
    for number in range(count):
        required = draw(st.sets(st.integers(0, number - 1))) if number else set()
        seconds = draw(st.one_of(st.none(), st.integers(0, 9).map(float)))
        tasks.append(TaskTime(f"t{number}", f"F{number % 3}", tuple(f"t{one}" for one in sorted(required)), seconds))
    return draw(st.permutations(tasks))


def every_chain(tasks):
    """Yield every chain of tasks that wait for one another, as subsets of all tasks."""
    for size in range(1, len(tasks) + 1):
        for chosen in itertools.permutations(tasks, size):
            if all(one.name in after.requires for one, after in itertools.pairwise(chosen)):
                yield chosen


def test_a_family_requires_what_one_of_its_tasks_requires():
    assert families_of(GRAPH) == {
        "Check": {"Scan"},
        "Cut": {"Scan"},
        "List": {"Cut", "Scan"},
        "Scan": set(),
        "Close": {"Check", "List"},
    }


def test_what_a_chain_implies_has_no_arrow_of_its_own():
    assert reduced(families_of(GRAPH))["List"] == {"Cut"}


def test_what_is_required_stands_to_the_left():
    requires = families_of(GRAPH)
    place = {name: x for x, names in enumerate(columns(reduced(requires))) for name in names}

    assert set(place) == set(requires)
    assert all(place[one] < place[name] for name, ones in requires.items() for one in ones)


@pytest.mark.parametrize("name", ["<script>alert('&')</script>", "\u00e4 & \u00f6"])
def test_text_is_escaped_and_the_picture_is_well_formed(name):
    text = draw_graph({name: Box(name, (name,))}, {name: set()}, name, heads=(name,))

    page = Page(text)
    assert page.open == []
    assert page.all("svg")[0]["aria-label"] == name
    assert [one.strip() for one in page.text if one.strip()] == [name] * 4


def test_boxes_lie_apart_and_within_the_picture():
    requires = families_of(GRAPH)
    text = draw_graph({name: Box(name, ("a", "b")) for name in requires}, requires, "graph")

    _, _, width, height = (float(part) for part in re.search(r'viewBox="([^"]+)"', text)[1].split())
    found = re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', text)
    boxes = [(int(x), int(y), int(x) + int(w), int(y) + int(h)) for x, y, w, h in found]
    assert len(boxes) == len(requires)
    assert all(min(box[:2]) >= 0 and box[2] <= width and box[3] <= height for box in boxes)
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@given(graphs())
def test_the_longest_chain_is_as_long_as_the_longest_of_all_chains(tasks):
    found = longest_chain(tasks)

    longest = max((sum(task.seconds or 0 for task in chain) for chain in every_chain(tasks)), default=0)
    assert sum(task.seconds for task in found) == longest
    assert [task.name for task in longest_chain(tasks[::-1])] == [task.name for task in found]


def test_the_longest_chain_goes_through_tasks_of_unknown_time():
    assert [task.name for task in longest_chain(GRAPH)] == ["scan()", "cut(1)", "close()"]


def test_a_family_is_summed_up():
    cut = family_time([task for task in GRAPH if task.family == "Cut"])
    listed = family_time([task for task in GRAPH if task.family == "List"])

    assert (cut.n_tasks, cut.n_timed, cut.seconds, cut.longest.name) == (2, 2, 12.5, "cut(1)")
    assert (listed.n_tasks, listed.n_timed, listed.seconds, listed.longest) == (1, 0, None, None)


def test_picture_table_and_sentence_tell_the_same():
    told = make_durations(GRAPH)

    assert "The time of 5 of 6 tasks is known: 15.8 s in total." in told.summary
    assert "took 8.8 s" in told.summary
    assert "1.8 times faster" in told.summary
    assert told.chain == ("scan()", "cut(1)", "close()")
    assert [row[0] for row in told.table.rows] == ["Cut", "Check", "Scan", "Close", "List"]
    assert told.table.rows[0][3].text == "12.5 s (79%)"
    assert told.table.rows[0][1:3] + told.table.rows[0][4:] == ("2", "2", "7.5 s", "cut(1)")
    words = [one.strip() for one in Page(str(told.picture)).text if one.strip()]
    assert "2 tasks, 12.5 s" in words
    assert "longest 7.5 s" in words
    assert "time not known" in words
    assert str(told.picture).count('stroke-width="4"') == 3


def test_without_times_the_graph_is_there_and_says_so():
    tasks = [TaskTime(task.name, task.family, task.requires, None) for task in GRAPH]

    told = make_durations(tasks)

    assert told.summary == "No task has a recorded time."
    assert told.chain == ()
    assert str(told.picture).count("<rect") == len(told.table.rows) == 5
    assert 'stroke-width="4"' not in told.picture


def test_without_tasks_there_is_nothing_to_draw():
    told = make_durations(())

    assert told.table.rows == ()
    assert Page(str(told.picture)).open == []


def test_times_are_set_for_people():
    assert [duration(value) for value in (None, 0.0, 99.94, 100.0, 5999.0, 6000.0)] == [
        "\u2013", "0.0 s", "99.9 s", "1.7 min", "100.0 min", "1.7 h",
    ]  # fmt: skip
