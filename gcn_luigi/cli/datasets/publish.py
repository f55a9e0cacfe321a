"""`gcn publish`: pack what a reader needs of a finished dataset, for a colleague or a repository."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import LOCAL_PATH, SOURCE_PATH
from gcn_luigi.cli.terminal import progress_bar


@click.command()
@click.argument("dataset", type=SOURCE_PATH, shell_complete=complete_dataset)
@click.argument("archive", type=LOCAL_PATH)
@click.option("--with-pages", is_flag=True, help="Pack the quality page, and the page of grid sizes if there is one.")
@click.option("--for", "place", type=click.Choice(["zenodo", "huggingface"]),
              help="Write a directory that this repository accepts as it is.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def publish(*, dataset: Path, archive: Path, with_pages: bool, place: str | None, as_json: bool) -> None:
    """Pack what a reader needs of DATASET into ARCHIVE: a tar file if its name ends in .tar, otherwise a directory.

    The archive holds the shards, tables, statistics and all texts, but no rasters of the region and no records of the
    build. It lists the SHA-256 of every file in SHA256SUMS, and `gcn validate` of it gives the digests of the whole
    dataset. Equal datasets give equal archives. DATASET is validated first and does not change. Nothing is uploaded.

    --for zenodo writes a directory with the archive as REGION.tar, the texts that people read first, and zenodo.json,
    the metadata of the record as far as [dataset] and [sources] give them. --for huggingface writes the plain
    directory, whose README.md is the dataset card.

    JSON keys: archive, files (path, size and sha256 of each), left_out (how many files of the dataset), size (bytes),
    digest, data_digest and notes.

    \b
    Example:
      gcn publish output/columbia columbia.tar
      gcn publish output/columbia columbia-zenodo --for zenodo --with-pages
    """  # noqa: D301  click reads the control character
    # Imported here, so that --help answers at once.
    from gcn_luigi.read.archive.packing import TAR, pack  # noqa: PLC0415
    from gcn_luigi.read.archive.zenodo import lay_out  # noqa: PLC0415

    if place is not None and archive.suffix == TAR:
        raise click.UsageError(f"--for {place} writes a directory: give ARCHIVE a name without {TAR}")
    notes: list[str] = []
    with progress_bar() as say:
        if place == "zenodo":
            packed, notes = lay_out(dataset, archive, say, with_pages=with_pages)
        else:
            packed = pack(dataset, archive, say, with_pages=with_pages)
    if place == "huggingface" and not _has_card_header(archive):
        notes.append("README.md has no header of a dataset card: set title and licence in [dataset], and run again")
    if as_json:
        said = {"archive": str(archive), **asdict(packed), "size": packed.size, "notes": notes}
        click.echo(json.dumps(said, indent=1))
        return
    for note in notes:
        click.echo(f"note: {note}", err=True)
    size = f"{len(packed.files)} files, {packed.size / 1e6:,.1f} MB"
    click.echo(f"archive: {archive}: {size}; {packed.left_out} files of the dataset were left out")
    click.echo(f"digest {packed.digest}")
    click.echo(f"data only (shards, index, catalog, statistics): digest {packed.data_digest}")


def _has_card_header(archive: Path) -> bool:
    with (archive / "README.md").open(encoding="utf-8") as card:
        return card.readline().strip() == "---"
