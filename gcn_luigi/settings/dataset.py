"""What people say about a dataset: title, creators and licence, the terms of each source, and what only they know."""

import datetime as dt
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gcn_luigi.licences import check_licence
from gcn_luigi.settings.section import Section

_DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>]+")
_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _is_doi(value: str) -> str:
    if not _DOI.fullmatch(value):
        raise ValueError(f'give the DOI alone, such as "10.5281/zenodo.1234567", not "{value}"')
    return value


def _is_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s\"<>]+", value):
        raise ValueError(f'give an address that begins with https://, not "{value}"')
    return value


def _is_orcid(value: str) -> str:
    """Check the form and the last character, which is computed from the others (ISO 7064, MOD 11-2)."""
    if not _ORCID.fullmatch(value):
        raise ValueError(f'give the ORCID alone, such as "0000-0002-1825-0097", not "{value}"')
    total = 0
    for digit in value.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    if "0123456789X"[(12 - total % 11) % 11] != value[-1]:
        raise ValueError(f'"{value}" is no ORCID: its last character does not fit the others; look for a typing error')
    return value


def _is_version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError(f'give three numbers, such as "1.0.0", not "{value}"')
    return value


def _is_date(value: str) -> str:
    try:
        if len(value) == len("2027-03-01"):
            return dt.date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise ValueError(f'give a day, such as "2027-03-01", not "{value}"')


def _is_contact(value: str) -> str:
    return value if _MAIL.fullmatch(value) else _is_url(value)


def _is_said(value: str) -> str:
    if not value.strip():
        raise ValueError("says nothing: leave the key out")
    return value.strip()


Said = Annotated[str, AfterValidator(_is_said)]
Doi = Annotated[str, AfterValidator(_is_doi)]
Url = Annotated[str, AfterValidator(_is_url)]
Licence = Annotated[str, AfterValidator(check_licence)]


class _Described(Section):
    """A section whose keys are texts. A key that is not given leaves no trace in a file or fingerprint."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in plain(self).items() if value not in (None, (), [])}


class CreatorSettings(_Described):
    """One ``[[dataset.creators]]`` table: a person, or an organisation."""

    # Of an organisation, or of a person who has a single name.
    name: Said | None = None
    given_names: Said | None = None
    family_names: Said | None = None
    orcid: Annotated[str, AfterValidator(_is_orcid)] | None = None
    affiliation: Said | None = None

    @model_validator(mode="after")
    def _has_one_name(self) -> Self:
        is_person = self.given_names is not None and self.family_names is not None
        if (self.name is None) is not is_person or (self.given_names is None) is not (self.family_names is None):
            raise ValueError("give given_names and family_names of a person, or name of an organisation")
        return self

    @property
    def is_person(self) -> bool:
        """Whether the creator is a person with given and family names, or at least has an ORCID."""
        return self.family_names is not None or self.orcid is not None

    @property
    def full_name(self) -> str:
        """The name in the order in which it is spoken."""
        return self.name if self.name is not None else f"{self.given_names} {self.family_names}"


class DatasetSettings(_Described):
    """What the dataset is called, who made it, and on which terms it may be used."""

    title: Said | None = None
    description: Said | None = None
    creators: tuple[CreatorSettings, ...] = ()
    # SPDX identifier, or LicenseRef-...
    licence: Licence | None = None
    # Terms of a licence that is not on the SPDX list.
    licence_url: Url | None = None
    doi: Doi | None = None
    version: Annotated[str, AfterValidator(_is_version)] | None = None
    # The day of publication, as YYYY-MM-DD; the build never writes the day on which it runs.
    released: Annotated[str, AfterValidator(_is_date)] | None = None
    url: Url | None = None
    keywords: tuple[Said, ...] = ()
    # Address for questions: e-mail or page.
    contact: Annotated[str, AfterValidator(_is_contact)] | None = None


class SourceSettings(_Described):
    """One ``[sources.NAME]`` table: where a kind of source comes from, and on which terms."""

    title: Said
    licence: Licence | None = None
    # What the provider asks to be named as.
    attribution: Said | None = None
    url: Url | None = None
    doi: Doi | None = None


class DatasheetSettings(_Described):
    """What only people know about a dataset. Each key answers one question of ``datasheet.md``."""

    purpose: Said | None = None
    funding: Said | None = None
    collection: Said | None = None
    annotation: Said | None = None
    personal: Said | None = None
    biases: Said | None = None
    limitations: Said | None = None
    uses: Said | None = None
    not_for: Said | None = None
    impact: Said | None = None
    maintenance: Said | None = None


Sources = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")], SourceSettings]
