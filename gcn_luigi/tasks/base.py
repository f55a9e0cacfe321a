"""What all tasks of a region share: parameters, settings, fingerprint."""

import copy
import html
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import luigi
from luigi.configuration import get_config
from luigi.parameter import ParameterVisibility

from gcn_luigi.config import Region, load_region
from gcn_luigi.engine.engines import Engine, Here, engine_at
from gcn_luigi.errors import ConfigError, GcnLuigiError, InputError
from gcn_luigi.io.inputs.source_states import signature
from gcn_luigi.io.publish.claim import claimed
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import fingerprint_of
from gcn_luigi.io.publish.timings import write_time
from gcn_luigi.luigi_host.guard import GuardedTask, ignore_gdal_settings
from gcn_luigi.luigi_host.memory_limit import within_memory
from gcn_luigi.tasks.awaited import look_at_made, look_at_required
from gcn_luigi.tasks.dependencies import Dependencies, SettingsGuard, Snapshot, facets_of, state_of
from gcn_luigi.tasks.target import PublishedFile

_REGION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Where the dataset is made is part of a task's identity, not of its result.
_NOT_CONTENT = frozenset({"output_root"})


# What a run reports about a task whose files it made, not only found; the scheduler may give one task to two runs.
MADE = "made"
_T = TypeVar("_T", bound="RegionTask")


def hidden_parameter(kind: type[luigi.Parameter[Any]], name: str, default: Any, description: str) -> Any:
    """Return a parameter that is set in section [gcn] of luigi.cfg and is not part of a task's identity."""
    return kind(
        default=default,
        config_path={"section": "gcn", "name": name},
        significant=False,
        visibility=ParameterVisibility.HIDDEN,
        description=description,
    )


class RegionTask(GuardedTask):
    """A task of one region.

    A subclass states ``code_version`` (raised when its result would change) and `dependencies`, everything that its
    files depend on. These and its parameters make the fingerprint of each of its files. Its requirements only set the
    order in time: a file that is rebuilt with the same content makes no other file stale.
    """

    task_namespace = "gcn"
    code_version: ClassVar[int] = 1
    # True for files that name others instead of holding pixels.
    by_reference: ClassVar[bool] = False
    # True if VRTs among the files hold paths of the sources: moving the sources makes these VRTs stale.
    names_sources: ClassVar[bool] = False
    # False for files that describe a build and are not part of the dataset: they may differ from build to build.
    in_manifest: ClassVar[bool] = True
    # True for tasks that take long for each file: with a cluster, its nodes make them.
    is_heavy: ClassVar[bool] = False
    # Whether the last `run` made the files.
    was_made: bool = False
    # The snapshots that the next `complete` and the next `deps` use; each is used once.
    _handed: Snapshot | None = None
    _seen: Snapshot | None = None
    # What the required tasks had published when Luigi was about to run this one.
    _before_run: Snapshot | None = None
    # The state of the file of settings when this task was scheduled.
    _scheduled_with: tuple[int, ...] | None = None
    # The cluster that the running build has opened; without it, a task opens the one that `dask` names.
    engine: Engine | None = None

    region: luigi.Parameter[str] = luigi.Parameter(
        description="name of the region, which is also the name of its file: config/<region>.toml"
    )
    output_root: luigi.Parameter[str] = luigi.Parameter(
        default="output",
        config_path={"section": "gcn", "name": "output_root"},
        description="directory of the datasets",
    )
    config_dir: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter, "config_dir", "config", "directory of the regions' TOML files"
    )
    data_root: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter, "data_root", "", "directory of the sources, instead of data_root in the TOML file"
    )
    memory_mb: luigi.Parameter[int] = hidden_parameter(
        luigi.IntParameter,
        "memory_mb",
        0,
        "memory limit of a worker, in million bytes; 0 for all that the machine and control group allow",
    )
    dask: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter, "dask", "", "address or scheduler file of a Dask cluster, whose nodes make the heavy tasks"
    )
    pages_url: luigi.Parameter[str] = hidden_parameter(
        luigi.Parameter,
        "pages_url",
        "",
        "address on this machine where the pages of datasets are served; Luigi's page then links to them",
    )

    @cached_property
    def paths(self) -> DatasetPaths:
        """Paths of the region's dataset."""
        if not _REGION_NAME.fullmatch(self.region):
            raise ConfigError(
                f"{self.region!r} cannot be a region's name",
                where="--region",
                fix="use 1 to 32 lower-case letters, digits, _ or -, beginning with a letter",
            )
        return DatasetPaths(Path(self.output_root).resolve() / self.region)

    @cached_property
    def config_path(self) -> Path:
        """The region's TOML file."""
        return Path(self.config_dir).resolve() / f"{self.paths.root.name}.toml"

    @property
    def configured(self) -> Region:
        """The region's settings and source directory, as they are now."""
        path = self.config_path
        region = load_region(path, Path(self.data_root) if self.data_root else None)
        self._settings_guard.check(region, str(path))
        return region

    @cached_property
    def _settings_guard(self) -> SettingsGuard:
        return SettingsGuard()

    def clone(self, cls: type[_T], **changes: Any) -> _T:  # type: ignore[override]
        """Return a task of `cls` with the parameters that it shares with this one, except for `changes`."""
        task: _T = super().clone(cls, **changes)
        return task

    def _get_param_visibilities(self) -> dict[str, int]:
        """Return what Luigi's page shows: all but the output directory, which is long and the same for the whole graph.

        Unlike a hidden parameter, it stays part of the task's id: two directories are two graphs.
        """
        return {**super()._get_param_visibilities(), "output_root": ParameterVisibility.HIDDEN.serialize()}

    def dependencies(self, path: Path) -> Dependencies:
        """Return everything that the content of `path`, one of this task's files, depends on; each task defines it."""
        raise NotImplementedError

    def content_parameters(self) -> dict[str, str]:
        """Return the parameters that the result depends on."""
        parameters: dict[str, str] = self.to_str_params(only_significant=True)
        return {name: value for name, value in parameters.items() if name not in _NOT_CONTENT}

    def parts(self, path: Path, snapshot: Snapshot | None = None) -> Mapping[str, Any]:
        """Return everything that decides the content of `path`, by name."""
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
                **{
                    target.path.relative_to(self.paths.root).as_posix(): snapshot.content(target)
                    for target in dependencies.reads
                },
                **{name: snapshot.content(target) for name, target in dependencies.in_place_of.items()},
            },
        }

    @cached_property
    def name(self) -> str:
        """Family and parameters, independent of where the dataset is made."""
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

    def is_whole(self, snapshot: Snapshot) -> bool:
        """Return whether this task's own files are published and nobody has touched them; not whether they are current.

        That costs little: nothing is asked about what they were made from. What they hold is kept in `snapshot`.
        """
        for target in self.targets():
            record = target.record()
            if record is None or not target.is_intact(record):
                return False
            snapshot.contents[target.path] = target.content_of(record)
        return True

    def complete(self) -> bool:
        """Return whether this task's files, and all upstream files, are published and current.

        Luigi stops at the first complete task and never looks at the tasks upstream of it. Without this check, a lost
        shard would never be rebuilt once the index is finished.
        """
        snapshot, self._handed = self._handed or Snapshot(), None
        is_complete = self.is_complete_upstream(snapshot)
        self._seen = None if is_complete else snapshot
        return is_complete

    def deps(self) -> list[luigi.Task]:
        """Return the tasks that Luigi asks next whether they are complete; they share one look at the files.

        Luigi asks every task of a graph, and each answer depends on all upstream files. Tasks that looked at these
        anew would need minutes for a large region on a network disk. The look is that of this task's last `complete`,
        if it has not been passed on yet; so a whole graph is scheduled from one look. Otherwise Luigi is about to run
        this task, and the look is at what the required tasks themselves have published.
        """
        required, snapshot, self._seen = super().deps(), self._seen, None
        settings = state_of(self.config_path)
        if snapshot is None:
            is_settled = settings is not None and settings == self._scheduled_with
            snapshot = self._before_run = look_at_required(required, self.paths.root, is_settled=is_settled)
        else:
            self._scheduled_with = settings
        return share_look(required, snapshot)

    def is_complete_upstream(self, snapshot: Snapshot) -> bool:
        """Return `complete`, asking each upstream task once."""
        if self.task_id not in snapshot.whole:
            required = luigi.task.flatten(self.requires())
            upstream_is_complete = all(task.is_complete_upstream(snapshot) for task in required)
            snapshot.whole[self.task_id] = upstream_is_complete and self.is_published(snapshot)
        return snapshot.whole[self.task_id]

    def run(self) -> None:
        """Make this task's files, unless they are published and current and only an upstream file was lost."""
        self.was_made = False
        before, self._before_run = self._before_run, None
        if before is not None:
            # Luigi asks afterwards whether the task is complete: then this depends on its own files alone.
            self._handed = Snapshot(whole=before.whole)
        # Of several runs of this dataset, one makes the files; the others wait, and find them published.
        with claimed(self.paths.records, self.name, self.say) as has_waited:
            # What was looked at before the wait may be another now.
            if self.is_published(None if has_waited else before):
                self.say("kept: already published and current", 1.0)
                return
            began = time.perf_counter()
            # Every running task has a bar and a message; tasks that count something update both.
            self.say((type(self).__doc__ or self.name).partition("\n")[0], 0.0)
            with self._engine() as engine:
                engine.make(self)
            self.was_made = True
            write_time(self.paths, self.name, time.perf_counter() - began)
            if before is not None:
                before.whole.update(look_at_made(self, self.paths.root))
        if self.set_tracking_url is not None and self.page_address is not None:
            self.set_tracking_url(self.page_address)

    def _engine(self) -> AbstractContextManager[Engine]:
        if not (self.is_heavy and self.dask):
            return nullcontext(Here())
        if self.engine is not None:
            return nullcontext(self.engine)
        is_trusted = get_config().getboolean("gcn", "trust_network", False)
        return engine_at(self.dask, memory_mb=self.memory_mb, is_trusted=is_trusted)

    def make_here(self) -> None:
        """Make this task's files in this process, within its memory and with unchanging settings."""
        ignore_gdal_settings()
        with within_memory(self), self._settings_guard:
            self.make()

    def process_resources(self) -> dict[str, int]:
        """Return what a scheduler limits; nothing on a cluster, whose own scheduler knows what its nodes can do."""
        resources: dict[str, int] = super().process_resources()
        return {} if self.is_heavy and self.dask else resources

    def page(self) -> str | None:
        """Return the page that shows what this task made, relative to its region's page; None if there is none."""
        return None

    @property
    def page_address(self) -> str | None:
        """The address of that page."""
        page = self.page()
        return None if page is None or not self.pages_url else f"{self.pages_url}/{self.region}/{page}"

    def memory_needed(self) -> int:
        """Return the bytes that `make` may need without the libraries, computed from the settings; 0 if not known."""
        return 0

    def memory_advice(self, limit: int) -> list[str]:
        """Return the settings that would make `memory_needed` fit `limit` bytes, each with its lower value."""
        del limit
        return []

    def make(self) -> None:
        """Make this task's files; each task defines how."""
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
        """Show a message, and the completed fraction (0 to 1), for this task on the web page."""
        if self.set_status_message is not None:
            # The page inserts the message as HTML.
            self.set_status_message(html.escape(message))
        if share is not None and self.set_progress_percentage is not None:
            # The page draws no bar for 0.
            self.set_progress_percentage(max(round(100 * share), 1))

    def on_success(self) -> str | None:
        """Return what the run reports in addition to "done": whether it made the files."""
        return MADE if self.was_made else None

    def on_failure(self, exception: BaseException) -> str:
        """Return what the web page and `gcn run` show: the message of a deliberate error, otherwise the traceback."""
        if _says_that_files_changed(exception):
            exception = InputError(
                "files or settings that it depends on changed during the run; a stale file does not count as finished",
                where=self.name,
                fix="do not change sources or settings, wait for any other build of this dataset, then run again",
            )
        if isinstance(exception, GcnLuigiError):
            return str(exception)
        return str(super().on_failure(exception))


def share_look(tasks: Iterable[_T], snapshot: Snapshot) -> list[_T]:
    """Return copies of tasks that answer their next `complete`, and only this one, from `snapshot`.

    They are copies because Luigi keeps one instance of each task, and its later answers must not be old.
    """
    copies = [copy.copy(task) for task in tasks]
    for task in copies:
        task._handed = snapshot  # noqa: SLF001  a function of this class's module
    return copies


def files_of(tasks: Iterable[RegionTask]) -> list[PublishedFile]:
    """Return the files of tasks, in order."""
    return [target for task in tasks for target in task.targets()]


def _says_that_files_changed(exception: BaseException) -> bool:
    """Return whether Luigi found that a requirement, or a file just made, is no longer complete."""
    unfulfilled = isinstance(exception, RuntimeError) and str(exception).startswith("Unfulfilled dependenc")
    return unfulfilled or isinstance(exception, luigi.worker.TaskException)
