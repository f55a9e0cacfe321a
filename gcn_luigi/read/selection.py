"""Which chips of an index are read: by split, and by fold."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

# What a split means within a fold: the roles in the table of folds.
ROLES = {"train": "train", "dev": "held out"}


def chosen_rows(
    index: "pd.DataFrame", split: str, *, fold: int | None = None, folds: "pd.DataFrame | None" = None
) -> NDArray[np.bool_]:
    """Return which chips are chosen, as a mask over the rows of `index`.

    Without `fold`, these are the chips of `split`. With it, ``train`` are the train and dev chips that the fold neither
    holds out nor leaves out because of the buffer, and ``dev`` are the chips that it holds out.

    Parameters
    ----------
    index : DataFrame
        One row per chip; columns split and partition.
    split : str
        A split of the dataset.
    fold : int or None
        Number of the fold, from 0.
    folds : DataFrame or None
        Columns fold, partition and role: what each fold does with each train and dev partition. Needed with `fold`.

    Raises
    ------
    ConfigError
        There is no such fold, or the split belongs to no fold.
    """
    if fold is None:
        return (index["split"] == split).to_numpy(bool)
    if split not in ROLES:
        raise ConfigError(
            f"{split} belongs to no fold",
            where=f"chips({split!r}, fold={fold})",
            fix=f"read {split} without a fold: it is the same for all folds",
        )
    count = 0 if folds is None else int(folds["fold"].max()) + 1
    if folds is None or isinstance(fold, bool) or fold not in range(count):
        given = f"the dataset has folds 0 to {count - 1}" if count else "the dataset was built without folds"
        raise ConfigError(
            f"there is no fold {fold!r}: {given}",
            where=f"chips({split!r}, fold={fold})",
            fix="use one of its folds" if count else "set [split] folds and build the dataset again",
        )
    rows: Any = folds[(folds["fold"] == fold) & (folds["role"] == ROLES[split])]
    return (index["partition"].isin(rows["partition"]) & index["split"].isin(list(ROLES))).to_numpy(bool)
