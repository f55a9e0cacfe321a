"""The year rules against an obvious loop."""

from collections import Counter, defaultdict

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.prepare.partitions.years import partition_years
from gcn_luigi.settings import YearSettings

outlines = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(1995, 2012)), st.integers(1, 9)), max_size=20
)


def leading_year(rows, rule):
    votes = defaultdict(float) if rule == "area-weighted" else Counter()
    for _, year, area in rows:
        if year is not None:
            votes[year] += area if rule == "area-weighted" else 1
    return min(votes, key=lambda year: (-votes[year], year)) if votes else None


@settings(max_examples=40, deadline=None)
@given(outlines, st.sampled_from(["legacy", "nearest", "area-weighted"]), st.sets(st.integers(1994, 2014), min_size=1))
def test_partition_years_match_the_plain_rule(rows, rule, composites):
    frame = pd.DataFrame(
        [(cell, f"g{i}", year, float(area)) for i, (cell, year, area) in enumerate(rows)],
        columns=["cell", "outline", "year", "area_m2"],
    ).astype({"year": "Int64", "cell": "str", "outline": "str"})

    table = partition_years(frame, sorted(composites), YearSettings(rule=rule, max_gap_years=4), "abc")

    for cell in "abc":
        lead = leading_year([row for row in rows if row[0] == cell], rule)
        if lead is None:
            expected = (None, "no dated outline")
        elif rule == "legacy":
            year = lead + lead % 2
            expected = (year, "") if year in composites else (None, f"no composite for {year}")
        else:
            year = min(composites, key=lambda composite: (abs(composite - lead), composite))
            gap = abs(year - lead)
            expected = (year, "") if gap <= 4 else (None, f"year gap {gap}")
        found = table.loc[cell]
        assert (None if pd.isna(found["year"]) else found["year"], found["reason"]) == expected
