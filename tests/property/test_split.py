"""No method ever lets train see dev."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.prepare.split.leakage import audit_split
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import SplitSettings
from tests.reference.catalog import join, least_gap, make_catalog, pixels

windows = st.lists(st.tuples(st.integers(-30, 60), st.integers(-30, 60)), min_size=1, max_size=14, unique=True)


@settings(max_examples=25, deadline=None)
@given(
    windows,
    st.sampled_from(["blocks", "legacy"]),
    st.integers(0, 2),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_train_and_dev_share_no_pixel_and_the_audit_agrees(corners, method, buffer, block, seed):
    rng = np.random.default_rng(seed)
    catalog = make_catalog([(r, c, 8, 8) for r, c in corners], glacier=rng.random(len(corners)))
    joined = join({f"g{i}": rng.choice(catalog["partition"], 3) for i in range(3)}).drop_duplicates()

    result, notes = assign_split(
        catalog,
        joined,
        SplitSettings(method=method, buffer_partitions=buffer, block_partitions=block, seed=seed, dev_share=0.3),
    )

    audit = audit_split(result, joined)
    train, dev = (result[result["split"] == name] for name in ("train", "dev"))
    assert not pixels(result, "train") & pixels(result, "dev")
    assert audit["shared_pixels"] == 0
    assert len(train) + len(dev) == result["used"].sum()
    assert len(train) > 0
    assert (result["reason"] == "").equals(result["used"])
    if method == "blocks" and len(dev) and not any("too small" in note for note in notes):
        assert least_gap(result) >= buffer * 8
    shared = set(joined[joined["cell"].isin(train["partition"])]["outline"]) & set(
        joined[joined["cell"].isin(dev["partition"])]["outline"]
    )
    assert audit["shared_glaciers"] == sorted(shared)
