import numpy as np
import numpy.typing as npt

def count_windows(
    label: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint8],
    values: npt.NDArray[np.uint8],
    masks: npt.NDArray[np.uint8],
    origins: npt.NDArray[np.int64],
    size: int,
    slots: npt.NDArray[np.int64],
    columns: npt.NDArray[np.uint8],
    sums: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.int64],
) -> None: ...
def cover(
    origins: npt.NDArray[np.int64],
    size: int,
    seen: npt.NDArray[np.uint32],
) -> None: ...
def weigh(
    label: npt.NDArray[np.uint8],
    values: npt.NDArray[np.uint8],
    weight: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.int64],
) -> None: ...
def count_classes(
    label: npt.NDArray[np.uint8],
    values: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> None: ...
