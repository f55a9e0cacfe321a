"""What a notebook shows of a dataset: facts, classes and a chip, figures of chips, and a map of the partitions."""

import base64
import io
import re
import shutil
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import ConfigError, InputError, ShardError
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, colour
from gcn_luigi.prepare.pictures import chequered
from gcn_luigi.read.show.looks import look_of
from gcn_luigi.read.show.png import png
from gcn_luigi.read.transforms import dihedral


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


@pytest.fixture
def copied(small_output, tmp_path):
    return shutil.copytree(small_output, tmp_path / "tiny", symlinks=True)


def pictures(page):
    """Return the pictures of a page, each (y, x, 3) uint8, as matplotlib reads them."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    read = (matplotlib.image.imread(io.BytesIO(base64.b64decode(each)), format="png") for each in found)
    return [(255 * picture[..., :3]).round().astype(np.uint8) for picture in read]


def drawn(figure):
    """Return the pixels of a figure, (y, x, 3) uint8, and all its texts."""
    picture = matplotlib.image.imread(io.BytesIO(figure._repr_png_()), format="png")
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    return (255 * picture[..., :3]).round().astype(np.uint8), " | ".join(texts)


def test_a_picture_is_read_by_others_as_it_was_written():
    rgb = np.random.default_rng(2).integers(0, 256, (7, 5, 3)).astype(np.uint8)

    read = matplotlib.image.imread(io.BytesIO(png(rgb)), format="png")

    np.testing.assert_array_equal((255 * read).round().astype(np.uint8), rgb)


class TestCards:
    def test_a_dataset_shows_facts_classes_and_a_chip(self, dataset):
        page = dataset._repr_html_()

        counts = dataset.chip_table["split"].value_counts()
        assert f"{counts['train']} train, {counts['dev']} dev" in page
        for band in dataset.bands:
            assert band.name in page
        pixels = dataset.statistics["classes"]["pixels"]
        for each in dataset.classes:
            share = f"{pixels[each.name] / sum(pixels.values()):.1%}"
            assert re.search(rf"background:{each.colour}\"></span>{each.title}</td><td>{share}<", page)
        image, label = pictures(page)
        (name,) = re.findall(r"<small>(\S+): ", page)
        chip = dataset.chips("train")[name]
        np.testing.assert_array_equal(image, look_of(dataset).picture(chip["image"], chip["flags"]))
        for each in dataset.classes:
            np.testing.assert_array_equal((label == colour(each.colour)).all(axis=-1), chip["label"] == each.value)

    def test_a_reader_shows_its_own_chips(self, dataset):
        chips = dataset.chips("train").where("share_debris > 0.05")
        page = chips._repr_html_()

        assert f"{len(chips)} from " in page
        assert f"{chips.table['share_debris'].mean():.1%}" in page
        (name,) = re.findall(r"<small>(\S+): ", page)
        assert chips[name]["chip_id"] == name
        assert len(pictures(page)) == 2

    def test_a_reader_without_chips_says_so(self, dataset):
        page = dataset.chips("train", where="share_ice > 2")._repr_html_()

        assert "No chip fulfils the conditions" in page
        assert "0 from 0 shards" in page

    def test_a_reader_of_unknown_origin_shows_what_the_index_says(self, dataset):
        chips = gcn_luigi.ChipReader(dataset.paths.shards, dataset.chip_table.head(3))

        assert "3 from 1 shard and" in chips._repr_html_()

    def test_a_damaged_shard_hides_only_the_chip_and_says_why(self, copied):
        dataset = gcn_luigi.open_dataset(copied)
        whole = dataset._repr_html_()
        for shard in copied.glob("shards/train-*.h5"):
            content = bytearray(shard.read_bytes())
            for place in range(2000, len(content) - 4000, 50):
                content[place] ^= 0xFF
            shard.unlink()
            shard.write_bytes(content)
        page = gcn_luigi.open_dataset(copied)._repr_html_()

        assert len(pictures(whole)) == 2
        assert pictures(page) == []
        assert re.search(r"not shown: .*train-0000", page)
        assert "debris-free ice" in page

    def test_missing_tables_hide_only_what_they_say(self, copied):
        (copied / "index.parquet").unlink()
        page = gcn_luigi.open_dataset(copied)._repr_html_()

        assert "not shown: " in page
        assert "index.parquet" in page
        assert "supraglacial debris" in page
        (copied / "statistics.json").write_text("{}")
        assert "<th>region</th><td>tiny</td>" in gcn_luigi.open_dataset(copied)._repr_html_()

    def test_names_that_would_be_html_are_text(self, dataset, monkeypatch):
        monkeypatch.setitem(dataset.description, "region", "<p>not shown: <script>")

        assert "<script>" not in dataset._repr_html_()

    def test_cards_need_no_matplotlib(self, small_output):
        code = (
            "import sys, gcn_luigi; sys.modules['matplotlib'] = None\n"
            "dataset = gcn_luigi.open_dataset(sys.argv[1])\n"
            "print(dataset._repr_html_().count('<img'), dataset.chips('dev')._repr_html_().count('<img'))\n"
            "try:\n    dataset.plot(dataset.chip_table.chip_id[0])\n"
            "except gcn_luigi.ConfigError as error:\n    print(error.fix)\n"
        )

        said = subprocess.run(
            [sys.executable, "-c", code, small_output], check=True, capture_output=True, text=True
        ).stdout.splitlines()

        assert said[0] == "2 2"
        assert said[1].startswith("pip install matplotlib")


class TestPlot:
    def test_a_chip_is_shown_with_its_classes_in_words(self, dataset):
        chips = dataset.chips("train")
        name = chips.where("valid_share == 1").ids([0])[0]

        picture, texts = drawn(dataset.plot(name))

        for text in (name, "false colour: ", "none", "supraglacial debris", "debris-free ice"):
            assert text in texts
        label = chips[name]["label"]
        for each in dataset.classes:
            is_there = (picture == colour(each.colour)).all(axis=-1).mean() > 0.005
            # The legend alone is smaller.
            assert is_there == ((label == each.value).mean() > 0.02)

    def test_missing_pixels_are_seen(self, dataset):
        chip = dataset.chips("train")[0]
        chip["label"][:16], chip["flags"][:16] = LABEL_IGNORE, int(gcn_luigi.Flag.LABEL | gcn_luigi.Flag.OUTSIDE)
        chip["flags"][16:20] = int(gcn_luigi.Flag.TOPO)
        figure = dataset.plot(chip)

        _, texts = drawn(figure)
        image, label, gaps = (axes.images[0].get_array() for axes in figure.axes)
        np.testing.assert_array_equal(image[:16], chequered(image.shape[:2])[:16])
        np.testing.assert_array_equal(label[:16], chequered(label.shape[:2])[:16])
        assert len({tuple(gaps[row, 0]) for row in (0, 17, 31)}) == 3
        for text in ("missing", "outside the tiles", "topography missing"):
            assert text in texts

    def test_a_turned_chip_is_shown_as_it_is(self, dataset):
        chip = dihedral(dataset.chips("dev")[1], 5)

        shown = dataset.plot(chip).axes[0].images[0].get_array()

        np.testing.assert_array_equal(shown, look_of(dataset).picture(chip["image"], chip["flags"]))

    def test_settings_of_the_user_change_nothing_and_stay(self, dataset):
        plain = drawn(dataset.plot(dataset.chips("dev")[0]))[0]
        with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
            assert (drawn(dataset.plot(dataset.chips("dev")[0]))[0] == plain).mean() > 0.99
            assert matplotlib.rcParams["font.size"] == 30

    def test_unknown_chips_and_other_images_are_refused(self, dataset):
        with pytest.raises(ConfigError, match="no chip 'tiny_train'"):
            dataset.plot("tiny_train")
        chip = dataset.chips("dev")[0]
        with pytest.raises(InputError, match="has the shape"):
            dataset.plot({**chip, "image": chip["image"][:2]})
        with pytest.raises(InputError, match="no flags"):
            dataset.plot({name: value for name, value in chip.items() if name != "flags"})


class TestMap:
    def test_partitions_of_each_split_are_drawn_over_a_relief(self, dataset):
        picture, texts = drawn(dataset.map())

        table = dataset.partition_table
        for split in ("train", "dev"):
            used = table[(table["split"] == split) & table["used"]]
            assert f"{split}: {len(used):,}" in texts
            assert (picture == colour(SPLIT_COLOURS[split])).all(axis=-1).any()
        assert f"not used: {int((~table['used']).sum())}" in texts
        assert "Easting (km)" in texts
        assert "Without a relief" not in texts
        assert len(dataset.map().axes[0].images) == 1

    @pytest.mark.parametrize("gone", ["stacks", "mosaics"])
    def test_without_stacks_the_map_says_so_and_shows_the_partitions(self, copied, gone):
        shutil.rmtree(copied / gone)
        figure = gcn_luigi.open_dataset(copied).map()

        _, texts = drawn(figure)
        assert "Without a relief, because the stacks, or the tiles that they show, are gone" in texts
        assert "train: " in texts
        assert len(figure.axes[0].images) == 0

    def test_without_rasterio_too(self, dataset, monkeypatch):
        monkeypatch.setitem(sys.modules, "rasterio", None)

        assert "needs rasterio" in drawn(dataset.map())[1]

    def test_a_damaged_table_of_partitions_is_an_error(self, copied):
        (copied / "catalog.parquet").write_bytes(b"PAR1")

        with pytest.raises(ShardError, match="changed"):
            gcn_luigi.open_dataset(copied).map()
