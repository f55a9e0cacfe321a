"""Bands are known by name and role."""

import dataclasses

import pytest

from gcn_luigi.bands import CLASS_NAMES, LABEL_DEBRIS, LABEL_ICE, LABEL_IGNORE, LABEL_NONE, Band, BandSchema, Role
from gcn_luigi.errors import ConfigError

RED = Band("red", Role.OPTICAL, "red")
NIR = Band("nir", Role.OPTICAL, "nir")
DEM = Band("dem", Role.TOPO, "dem", nodata=-9999)
LABEL = Band("label", Role.LABEL, nodata=LABEL_IGNORE)
DISTANCE = Band("distance", Role.DISTANCE)


def test_a_stack_is_known_by_names_roles_and_positions():
    schema = BandSchema((RED, NIR, DEM, LABEL, DISTANCE))

    assert len(schema) == 5
    assert list(schema) == [RED, NIR, DEM, LABEL, DISTANCE]
    assert schema.names == ("red", "nir", "dem", "label", "distance")
    assert schema.label_index == 3
    assert schema.image == (RED, NIR, DEM, DISTANCE)
    assert [schema.indices(role) for role in Role] == [(0, 1), (2,), (3,), (4,), ()]


def test_a_stack_needs_neither_topography_nor_distance():
    schema = BandSchema((RED, LABEL))

    assert (schema.label_index, schema.image, schema.indices(Role.TOPO)) == (1, (RED,), ())


@pytest.mark.parametrize(
    "bands",
    [
        (RED, dataclasses.replace(DEM, name="red"), LABEL),
        (DEM, RED, LABEL),
        (RED, LABEL, DEM),
        (RED, DISTANCE, LABEL),
        (RED, DEM),
        (RED, LABEL, dataclasses.replace(LABEL, name="second")),
        (),
    ],
    ids=["a name twice", "topo first", "label before topo", "distance first", "no label", "two labels", "nothing"],
)
def test_bands_that_make_no_stack_are_refused_by_name(bands):
    with pytest.raises(ConfigError, match="each band once") as caught:
        BandSchema(bands)

    assert all(band.name in caught.value.where for band in bands)


def test_class_numbers_are_positions_of_their_names():
    assert [CLASS_NAMES[value] for value in (LABEL_NONE, LABEL_DEBRIS, LABEL_ICE)] == ["none", "debris", "ice"]
    assert LABEL_IGNORE == 255
