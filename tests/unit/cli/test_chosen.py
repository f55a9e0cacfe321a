"""Tasks chosen by name: a family, or a family and its first parameters."""

import pytest

from gcn_luigi.cli.chosen import chosen_tasks
from gcn_luigi.errors import ConfigError
from tests.integration.builds import dataset


@pytest.fixture
def root(tiny, small_output):
    return dataset(tiny.region, small_output.parent, tiny.sources, tiny.config)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["ChipShard(train, 1)"], ["gcn.ChipShard(train, 1, 2)"]),
        (["gcn.ChipShard(train, 1, 2)"], ["gcn.ChipShard(train, 1, 2)"]),
        ([" ChipShard( dev ) "], ["gcn.ChipShard(dev, 0, 1)"]),
        (["ChipShard"], ["gcn.ChipShard(train, 0, 2)", "gcn.ChipShard(train, 1, 2)", "gcn.ChipShard(dev, 0, 1)"]),
        (["YearStack(2008)", "ClassLabel()"], ["gcn.ClassLabel()", "gcn.YearStack(2008)"]),
        (["ChipIndex", "ChipIndex()"], ["gcn.ChipIndex()"]),
        (["PartitionFiles"], ["gcn.PartitionFiles()"]),
        (["Dataset"], ["gcn.Dataset()"]),
    ],
)
def test_what_a_name_chooses(root, asked, expected):
    assert [task.name for task in chosen_tasks(root, asked)] == expected


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("ChipShard(train, 7)", "there are gcn.ChipShard(train, 0, 2), gcn.ChipShard(train, 1, 2)"),
        ("ChipShard(0)", "there are gcn.ChipShard(train, 0, 2)"),
        ("Chip", "gcn.BandStatistics"),
        ("ChipShard(train", "gcn.BandStatistics"),
        ("", "gcn.BandStatistics"),
    ],
)
def test_a_name_that_fits_nothing_is_told_with_what_there_is(root, asked, told):
    with pytest.raises(ConfigError) as caught:
        chosen_tasks(root, ["ChipShard", asked])

    assert told in caught.value.what
    assert caught.value.where == "--task"
