"""In mode legacy a fill reaches every band; in the label only where it is a class, as its page says."""

import numpy as np
import pytest

from gcn_luigi.bands import Band, BandSchema, Role
from gcn_luigi.prepare.missing.legacy import as_legacy_stack, legacy_corrected
from gcn_luigi.settings import NodataSettings
from tests.reference import nodata as reference

NAMES = {
    Role.OPTICAL: ("ndsi", "nbr", "ndvi", "tcb", "tcw"),
    Role.TOPO: ("north", "south", "curvature", "dem"),
    Role.LABEL: ("label",),
    Role.DISTANCE: ("distance",),
}
SCHEMA = BandSchema(tuple(Band(name, role) for role, names in NAMES.items() for name in names))
LABEL = 9


@pytest.mark.parametrize("fill", [0, 1, 2, 255, 7, 254, -1, -9999, -32768, 32767])
def test_image_bands_hold_the_fill_and_a_label_that_cannot_is_255(fill):
    rng = np.random.default_rng(abs(fill))
    stack = rng.choice([-32768, -9999, -3, 0, 5, 32767], (11, 40, 40)).astype(np.int16)
    stack[LABEL] = rng.choice([0, 1, 2, 255], (40, 40))

    corrected = legacy_corrected(stack, SCHEMA, NodataSettings(mode="legacy", fill=fill))

    published = reference.legacy_nodata(as_legacy_stack(stack, SCHEMA), alt_topo_band=-4, fill=fill)
    np.testing.assert_array_equal(corrected.image, np.delete(published, LABEL, axis=0))
    missing = stack[LABEL] == 255
    assert (published[LABEL][missing] == fill).all()
    np.testing.assert_array_equal(corrected.label[~missing], published[LABEL][~missing])
    assert (corrected.label[missing] == (fill if fill in (0, 1, 2, 255) else 255)).all()
