"""What all tasks of a region share: parameters, settings, fingerprint."""

import html
import os
import re
import time
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import luigi
from luigi.parameter import ParameterVisibility

from gcn_luigi.config import Region, load_region
from gcn_luigi.errors import ConfigError, GcnLuigiError, InputError
from gcn_luigi.io.inputs.source_states import signature
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import fingerprint_of
from gcn_luigi.io.publish.timings import write_time
from gcn_luigi.luigi_host.guard import GuardedTask, ignore_gdal_settings
from gcn_luigi.luigi_host.memory_limit import within_memory
from gcn_luigi.tasks.dependencies import Dependencies, Snapshot, facets_of
from gcn_luigi.tasks.target import PublishedFile

_REGION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Where the dataset is made is part of a task's identity, not of its result.
_NOT_CONTENT = frozenset({"output_root"})


# What the scheduler hears about a task whose files were made, and not only found: two runs may be granted one task.
MADE = "made"
_T = TypeVar("_T", bound="RegionTask")


def hidden_parameter(kind: type[luigi.Parameter[Any]], name: str, default: Any, description: str) -> Any:
    """Return a parameter that is set in section [gcn] of luigi.cfg and has no part in a task's identity."""
    return kind(
        default=default,
        config_path={"section": "gcn", "name": name},
        significant=False,
        visibility=ParameterVisibility.HIDDEN,
        description=description,
    )


class SettingsGuard:
    """Refuses settings that changed while a task worked and changed back; nothing is kept at other times.

    A change alone is found when the file is published: its fingerprint is another one. Not so one that was taken back:
    before and after the work all is equal, yet some of it was done by other settings.
    """

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
        """Note settings just read from the file `where`; raise InputError if they changed and changed back."""
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


class RegionTask(GuardedTask):
    """A task of one region.

    A subclass states ``code_version`` (raised when its result would change) and `dependencies`, everything that its
    files depend on. These and its parameters make the fingerprint of each of its files. What it requires is only an
    order in time: a file that is rebuilt with the same content makes nothing else stale.
    """

    task_namespace = "gcn"
    code_version: ClassVar[int] = 1
    # True for files that name others instead of holding pixels.
    by_reference: ClassVar[bool] = False
    # True where VRTs among the files hold paths of the sources: moving these makes them stale.
    names_sources: ClassVar[bool] = False
    # False for files that describe a build and are no part of the dataset: they may differ from build to build.
    in_manifest: ClassVar[bool] = True
    # Whether the last `run` made the files.
    was_made: bool = False

    region: luigi.Parameter[str] = luigi.Parameter(description="region, as config/<region>.toml names it")
    output_root: luigi.Parameter[str] = luigi.Parameter(
        default="output",
        config_path={"section": "gcn", "name": "output_root"},
        description="directory that datasets are made in",
    )
    config_dir: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter, "config_dir", "config", "directory of the regions' TOML files"
    )
    data_root: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter, "data_root", "", "directory of the sources, in place of the TOML file's data_root"
    )
    memory_mb: luigi.Parameter[int] = hidden_parameter(
        luigi.IntParameter,
        "memory_mb",
        0,
        "million bytes of memory that a worker may hold; 0 for all that machine and control group allow",
    )
    pages_url: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter,
        "pages_url",
        "",
        "where the pages of datasets are served, on this machine; Luigi's page then links to them",
    )

    @cached_property
    def paths(self) -> DatasetPaths:
        """Paths of the region's dataset."""
        if not _REGION_NAME.fullmatch(self.region):
            raise ConfigError(
                f"{self.region!r} cannot be a region's name",
                where="--region",
                fix="use 1 to 32 lower-case letters, digits, _ or -, a letter first",
            )
        return DatasetPaths(Path(self.output_root).resolve() / self.region)

    @property
    def configured(self) -> Region:
        """The region's settings and source directory, as they are now."""
        path = Path(self.config_dir).resolve() / f"{self.paths.root.name}.toml"
        region = load_region(path, Path(self.data_root).resolve() if self.data_root else None)
        self._settings_guard.check(region, str(path))
        return region

    @cached_property
    def _settings_guard(self) -> SettingsGuard:
        return SettingsGuard()

    def clone(self, cls: type[_T], **changes: Any) -> _T:  # type: ignore[override]
        """Return a task of `cls` with the parameters it has in common with this one, but for `changes`."""
        task: _T = super().clone(cls, **changes)
        return task

    def _get_param_visibilities(self) -> dict[str, int]:
        """Return what Luigi's page shows: not the output directory, which is long and the same all over a graph.

        It stays part of the task's id, as a parameter that is hidden would not: two directories are two graphs.
        """
        return {**super()._get_param_visibilities(), "output_root": ParameterVisibility.HIDDEN.serialize()}

    def dependencies(self, path: Path) -> Dependencies:
        """Return all that reaches the content of `path`, one of this task's files; each task says what."""
        raise NotImplementedError

    def content_parameters(self) -> dict[str, str]:
        """Return the parameters that reach the result."""
        parameters: dict[str, str] = self.to_str_params(only_significant=True)
        return {name: value for name, value in parameters.items() if name not in _NOT_CONTENT}

    def parts(self, path: Path, snapshot: Snapshot | None = None) -> Mapping[str, Any]:
        """Return all that decides the content of `path`, by name."""
        snapshot = snapshot or Snapshot()
        region = self.configured
        dependencies = self.dependencies(path)
        names_sources = self.names_sources and path.suffix == ".vrt"
        return {
            "task": self.get_task_family(),
            "code_version": self.code_version,
            "parameters": self.content_parameters(),
            "settings": dependencies.settings,
            "inventory": facets_of(self.paths, dependencies.facets),
            "sources": signature(dependencies.sources, region.root, snapshot.file_states),
            "place": os.path.relpath(region.root, self.paths.root) if names_sources else "",
            "reads": {
                target.path.relative_to(self.paths.root).as_posix(): snapshot.content(target)
                for target in dependencies.reads
            },
        }

    @cached_property
    def name(self) -> str:
        """Family and parameters, the same wherever the dataset is made."""
        values = ", ".join(value for key, value in self.content_parameters().items() if key != "region")
        return f"{self.get_task_family()}({values})"

    def fingerprint(self, path: Path, snapshot: Snapshot) -> str:
        """Return the digest of `parts`, computed once per snapshot."""
        if path not in snapshot.fingerprints:
            snapshot.fingerprints[path] = fingerprint_of(self.parts(path, snapshot))
        return snapshot.fingerprints[path]

    def is_published(self, snapshot: Snapshot | None = None) -> bool:
        """Return whether this task's own files are published and current."""
        snapshot = snapshot or Snapshot()
        return all(target.matches(self.fingerprint(target.path, snapshot)) for target in self.targets())

    def complete(self) -> bool:
        """Return whether this task's files, and all upstream files, are published and current.

        Luigi stops at the first complete task and never looks behind it; without looking ourselves, a lost
        shard behind a finished index would never be made again.
        """
        return self.is_complete_upstream(Snapshot())

    def is_complete_upstream(self, snapshot: Snapshot) -> bool:
        """Answer `complete`, asking each upstream task once."""
        if self.name not in snapshot.whole:
            required = luigi.task.flatten(self.requires())
            upstream_is_complete = all(task.is_complete_upstream(snapshot) for task in required)
            snapshot.whole[self.name] = upstream_is_complete and self.is_published(snapshot)
        return snapshot.whole[self.name]

    def run(self) -> None:
        """Make this task's files, unless they are published and current: then only something upstream was lost."""
        self.was_made = False
        if self.is_published():
            self.say("kept: already published and current", 1.0)
            return
        began = time.perf_counter()
        # Every running task has a bar and a line; those that count something change both.
        self.say((type(self).__doc__ or self.name).partition("\n")[0], 0.0)
        ignore_gdal_settings()
        with within_memory(self), self._settings_guard:
            self.make()
        self.was_made = True
        write_time(self.paths, self.name, time.perf_counter() - began)
        if self.set_tracking_url is not None and self.page_address is not None:
            self.set_tracking_url(self.page_address)

    def page(self) -> str | None:
        """Return the page that shows what this task made, below that of its region; None where there is none."""
        return None

    @property
    def page_address(self) -> str | None:
        """Where that page is served."""
        page = self.page()
        return None if page is None or not self.pages_url else f"{self.pages_url}/{self.region}/{page}"

    def memory_needed(self) -> int:
        """Return the bytes that `make` may need without the libraries, as far as settings tell; 0 where they do not."""
        return 0

    def memory_advice(self, limit: int) -> list[str]:
        """Return the settings that would make `memory_needed` fit `limit` bytes, each with what to lower it to."""
        del limit
        return []

    def make(self) -> None:
        """Make this task's files; each task says how."""
        raise NotImplementedError

    def publishes(self, *paths: Path) -> tuple[PublishedFile, ...]:
        """Return targets for `paths`, each with its own fingerprint."""
        return tuple(
            PublishedFile(path, self.paths.sidecar(path), partial(self.parts, path), by_reference=self.by_reference)
            for path in paths
        )

    def targets(self) -> tuple[PublishedFile, ...]:
        """Return this task's files, as a flat sequence."""
        return tuple(luigi.task.flatten(self.output()))

    def say(self, message: str, share: float | None = None) -> None:
        """Show a line, and the share of work done (0 to 1), for this task in the web page."""
        if self.set_status_message is not None:
            # The page takes it for HTML.
            self.set_status_message(html.escape(message))
        if share is not None and self.set_progress_percentage is not None:
            # The page draws no bar for 0.
            self.set_progress_percentage(max(round(100 * share), 1))

    def on_success(self) -> str | None:
        """Return what the scheduler hears in addition to "done": whether this run made the files."""
        return MADE if self.was_made else None

    def on_failure(self, exception: BaseException) -> str:
        """Return what the web page and `gcn run` show: a deliberate error as it is, else the traceback."""
        if _says_that_files_changed(exception):
            exception = InputError(
                "what it is made from changed meanwhile; nothing stale counts as finished",
                where=self.name,
                fix="leave sources and settings alone, let another build of this dataset end, then run again",
            )
        if isinstance(exception, GcnLuigiError):
            return str(exception)
        return str(super().on_failure(exception))


def _says_that_files_changed(exception: BaseException) -> bool:
    """Return whether Luigi found what it requires, or what it has just made, to be no longer complete."""
    unfulfilled = isinstance(exception, RuntimeError) and str(exception).startswith("Unfulfilled dependenc")
    return unfulfilled or isinstance(exception, luigi.worker.TaskException)
