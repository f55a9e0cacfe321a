"""Settings that are read again and again while a task works must stay what they were."""

from typing import Self

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError


class Readings:
    """What a task read as its region's settings since it began to work; nothing is kept at other times."""

    def __init__(self) -> None:
        self._seen: list[Region] = []
        self._is_working = False

    def __enter__(self) -> Self:
        self._is_working = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_working = False
        self._seen.clear()

    def check(self, region: Region, where: str) -> None:
        """Take note of settings just read from `where`.

        A change is found when the file is published: its fingerprint is another one. Not so one that was taken back:
        before and after the work all is equal, yet some of it was done by other settings.

        Raises
        ------
        InputError
            The settings changed and changed back.
        """
        if not self._is_working:
            return
        if len(self._seen) > 1 and region == self._seen[0]:
            raise InputError(
                "the settings changed, and changed back, while a file was made from them; nothing was published",
                where=where,
                fix="leave sources and settings alone while a build runs, then run again",
            )
        if region not in self._seen:
            self._seen.append(region)
