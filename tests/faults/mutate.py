"""Break bytes as disks, networks and strangers do; the same seed breaks them in the same way."""

import random
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Where most formats keep what they say of themselves.
_ENDS = 4096
_LONGEST_RUN = 512
_MOST_CHANGES = 3
_FORMATS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")
_EDGES = (
    0,
    1,
    2,
    3,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)
_NUMBERS = (
    "0",
    "-1",
    "1e999",
    "nan",
    "9223372036854775808",
    "1e-320",
    "0x10",
    "65536",
    "2147483648",
    "",
    "0.5",
    "true",
)
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
# Words that mark structures inside a file: chunks of HDF5, boxes of others.
_SIGNATURE = re.compile(rb"[A-Z]{4}")


@dataclass(frozen=True)
class Broken:
    """Bytes after some changes, and the names of the changes."""

    data: bytes
    changes: tuple[str, ...]


def mutate(data: bytes, rng: random.Random) -> Broken:
    """Return `data` with one to three changes, at places where structure is likely half of the time.

    Parameters
    ----------
    data : bytes
        A sound file.
    rng : random.Random
        Decides everything.

    Returns
    -------
    Broken
        It differs from `data`, unless that is empty.
    """
    hot = [match.start() for match in _SIGNATURE.finditer(data[:200_000])]
    broken, changes = bytearray(data), []
    for _ in range(1 + min(int(rng.expovariate(1.2)), _MOST_CHANGES - 1)):
        name = rng.choice(list(_CHANGES))
        _CHANGES[name](broken, _place(len(broken), hot, rng), rng)
        changes.append(name)
    if broken == data and data:
        place = rng.randrange(len(data))
        broken[place] ^= 1 << rng.randrange(8)
        changes.append("flip")
    return Broken(bytes(broken), tuple(changes))


def _place(size: int, hot: list[int], rng: random.Random) -> int:
    """Return an offset: anywhere, near an end of the file, or just behind a signature."""
    if not size:
        return 0
    match rng.randrange(4):
        case 0:
            return rng.randrange(min(size, _ENDS))
        case 1:
            return size - 1 - rng.randrange(min(size, _ENDS))
        case 2 if hot:
            return min(rng.choice(hot) + rng.randrange(64), size - 1)
    return rng.randrange(size)


def _run(rng: random.Random) -> int:
    return rng.choice((1, 2, 4, 8, 16, rng.randint(1, _LONGEST_RUN)))


def _flip(data: bytearray, place: int, rng: random.Random) -> None:
    if data:
        data[place] ^= 1 << rng.randrange(8)


def _flip_many(data: bytearray, place: int, rng: random.Random) -> None:
    for offset in range(place, min(place + _run(rng), len(data))):
        data[offset] = rng.randrange(256)


def _zero(data: bytearray, place: int, rng: random.Random) -> None:
    length = min(_run(rng), len(data) - place)
    data[place : place + length] = bytes(length)


def _fill(data: bytearray, place: int, rng: random.Random) -> None:
    length = min(_run(rng), len(data) - place)
    data[place : place + length] = b"\xff" * length


def _truncate(data: bytearray, place: int, rng: random.Random) -> None:  # noqa: ARG001  all changes are called alike
    del data[place:]


def _delete(data: bytearray, place: int, rng: random.Random) -> None:
    del data[place : place + _run(rng)]


def _insert(data: bytearray, place: int, rng: random.Random) -> None:
    data[place:place] = rng.randbytes(_run(rng))


def _duplicate(data: bytearray, place: int, rng: random.Random) -> None:
    data[place:place] = data[place : place + _run(rng)]


def _splice(data: bytearray, place: int, rng: random.Random) -> None:
    """Write a run over another place: the length stays."""
    source = rng.randrange(len(data)) if data else 0
    run = data[source : source + min(_run(rng), len(data) - place)]
    data[place : place + len(run)] = run


def _swap(data: bytearray, place: int, rng: random.Random) -> None:
    """Exchange two chunks of one length."""
    other = rng.randrange(len(data)) if data else 0
    first, second = sorted((place, other))
    length = min(_run(rng), second - first, len(data) - second)
    one, two = data[first : first + length], data[second : second + length]
    data[first : first + length], data[second : second + length] = two, one


def _integer(data: bytearray, place: int, rng: random.Random) -> None:
    """Write a number at a multiple of its width."""
    layout = rng.choice(_FORMATS)
    width = struct.calcsize(layout)
    place -= place % width
    if place + width <= len(data):
        edge = rng.choice((*_EDGES, rng.getrandbits(64)))
        struct.pack_into(layout, data, place, edge % (1 << 8 * width))


def _length(data: bytearray, place: int, rng: random.Random) -> None:
    """Change a number that may be a length, a count or an offset by a little, or make it far larger."""
    layout = rng.choice(_FORMATS[1:])
    width = struct.calcsize(layout)
    place -= place % width
    if place + width <= len(data):
        (number,) = struct.unpack_from(layout, data, place)
        changed = rng.choice(
            (number + 1, number - 1, number * 2, number // 2, number * 256, number + rng.randint(2, 99))
        )
        struct.pack_into(layout, data, place, changed % (1 << 8 * width))


def _digits(data: bytearray, place: int, rng: random.Random) -> None:
    """Write another number in place of one that is spelled in digits."""
    match = _NUMBER.search(data, place) or _NUMBER.search(data)
    if match is not None:
        data[match.start() : match.end()] = rng.choice((*_NUMBERS, str(rng.randint(-9999, 9999)))).encode()


def _lines(data: bytearray, place: int, rng: random.Random) -> None:
    """Write one line twice, drop it, or move it to the start."""
    start = data.rfind(b"\n", 0, place) + 1
    end = data.find(b"\n", place) + 1 or len(data)
    line = bytes(data[start:end])
    match rng.randrange(3):
        case 0:
            data[start:start] = line
        case 1:
            del data[start:end]
        case _:
            del data[start:end]
            data[:0] = line


_CHANGES: Mapping[str, Callable[[bytearray, int, random.Random], None]] = MappingProxyType(
    {
        "flip": _flip,
        "noise": _flip_many,
        "zeros": _zero,
        "ones": _fill,
        "truncate": _truncate,
        "delete": _delete,
        "insert": _insert,
        "duplicate": _duplicate,
        "splice": _splice,
        "swap": _swap,
        "integer": _integer,
        "length": _length,
        "digits": _digits,
        "lines": _lines,
    }
)
CHANGES = tuple(_CHANGES)
