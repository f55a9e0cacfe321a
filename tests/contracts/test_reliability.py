"""The page on reliability was written by the command that it names, from a long run that found nothing."""

import re
from pathlib import Path

import pytest

from tests.faults.report import read_rows
from tests.faults.scenarios import scenarios

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [scenario.name for scenario in scenarios()])
def test_every_scenario_was_tried_and_found_nothing(text, name):
    row = read_rows(text)[name]

    assert int(row["faults"].replace(",", "")) > 0
    assert row["found"] == "0"


def test_the_last_row_sums_up(text):
    table = read_rows(text)
    total = table.pop("**all**")

    for column in ("faults", "disturbed builds", "files compared", "bytes compared"):
        assert int(total[column].replace(",", "")) == sum(int(row[column].replace(",", "")) for row in table.values())


def test_at_least_a_hundred_processes_were_killed(text):
    times = re.findall(r"^\| kills \| .* killed \| ([\d,]+) \|$", text, re.MULTILINE)

    assert sum(int(number.replace(",", "")) for number in times) >= 100


def test_the_run_is_named(text):
    assert re.search(
        r"^\* Command: `(make faults|python -m tests\.faults [^`]+)`, seed \d+, \d+ minutes", text, re.MULTILINE
    )
    assert re.search(r"^\* Versions: gcn-luigi \S+, Python 3\.\d+\.\d+, luigi .*; Linux \S+\.$", text, re.MULTILINE)
