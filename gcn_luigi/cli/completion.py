"""`gcn completion`: the script with which a shell completes this command, and the values that it proposes."""

from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_MANIFEST = "dataset.json"
# How many levels of directories are searched for datasets: the output directory, and each region's directory in it.
_DEEPEST = 2


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print a script with which SHELL completes the commands, options, regions and datasets of gcn.

    \b
    Install the script, then open a new shell:
      bash  gcn completion bash > ~/.local/share/bash-completion/completions/gcn
      zsh   gcn completion zsh > ~/.zfunc/_gcn    (with fpath+=~/.zfunc before compinit in ~/.zshrc)
      fish  gcn completion fish > ~/.config/fish/completions/gcn.fish

    \b
    Example:
      gcn completion bash | less
      eval "$(gcn completion bash)"
    """  # noqa: D301  click reads the control character
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "gcn", "_GCN_COMPLETE").source())


def complete_region(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose the regions of the config directory, and TOML files by path."""
    directory = Path(str(context.params.get("config_dir") or "config"))
    names = [path.stem for path in _listed(directory) if path.suffix == ".toml" and path.is_file()]
    found = [CompletionItem(name, help="region") for name in names if name.startswith(incomplete)]
    # The user may also give a path, which the shell completes best.
    return found or [CompletionItem(incomplete, type="file")]


def complete_dataset(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Propose finished datasets one or two levels below the typed path; if there is none, the shell completes it."""
    head, _, tail = incomplete.rpartition("/")
    start = Path(f"{head}/").expanduser() if head or incomplete.startswith("/") else Path()
    prefix = f"{head}/" if head or incomplete.startswith("/") else ""
    names = [path.relative_to(start).as_posix() for path in _datasets(start, tail, _DEEPEST)]
    found = [CompletionItem(f"{prefix}{name}", help="dataset") for name in names]
    return found or [CompletionItem(incomplete, type="dir")]


def complete_id(
    context: click.Context, _parameter: click.Parameter, incomplete: str, *, column: str
) -> list[CompletionItem]:
    """Propose values from a column of the index (chips or partitions) of the dataset named on the command line."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    # While an option lacks its value, click does not name the arguments before it.
    words = [context.params.get("dataset"), *context.args]
    place = next((Path(word) for word in words if word and (Path(word) / _MANIFEST).is_file()), None)
    if place is None:
        return []
    try:
        values = pq.read_table(place / "index.parquet", columns=[column])[column].unique().to_pylist()
    except (OSError, pa.ArrowException):
        return []
    # The ids before the last comma are already chosen.
    chosen, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{chosen}{comma}{value}") for value in sorted(values) if str(value).startswith(last)]


def _datasets(directory: Path, start: str, deepest: int) -> Iterator[Path]:
    for path in _listed(directory):
        if not path.name.startswith(start) or path.name.startswith(".") or not path.is_dir():
            continue
        if (path / _MANIFEST).is_file():
            yield path
        elif deepest > 1:
            yield from _datasets(path, "", deepest - 1)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
