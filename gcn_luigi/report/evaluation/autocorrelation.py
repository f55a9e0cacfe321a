"""The section on autocorrelation: variograms of bands and label, and the buffer of the split beside their ranges."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from gcn_luigi.prepare.evaluation.words import metres, parts_in_words, range_in_words
from gcn_luigi.report.drawing import FAINT, INK, Drawing, legend_below, new_figure, title_panel, to_svg
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Cell, Table, number

_COLUMNS = 4
_POINTS, _RANGE, _BUFFER = "#2a6a9e", "#0b7a75", "#c2410c"
_DASHED = (0, (4, 2))


def autocorrelation_section(found: Mapping[str, Any] | None) -> str:
    """Return the section as HTML; `found` is ``autocorrelation.json``, or None if nothing was measured.

    Call this within `drawing_style`.
    """
    if found is None:
        content: dict[str, Any] = {"found": None}
    else:
        content = {
            "found": found,
            "hints": found["comparison"]["hints"],
            "drawing": _figure(found),
            "table": _table(found),
            "years": ", ".join(f"{year}: {number(count)}" for year, count in found["pixels_by_year"].items()),
        }
    # The template escapes its texts.
    return Markup(render("evaluation/autocorrelation.html", content))  # noqa: S704


def _figure(found: Mapping[str, Any]) -> Drawing:
    layers, buffer = found["layers"], found["buffer_m"]
    n_rows = -(-len(layers) // _COLUMNS)
    figure = new_figure(1000, 185 * n_rows + 75)
    panels = figure.subplots(n_rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for position, (axes, layer) in enumerate(zip(panels, layers, strict=False)):
        _panel(axes, layer, buffer)
        if position % _COLUMNS == 0:
            axes.set_ylabel("Semivariance (%)")
        if position + _COLUMNS >= len(layers):
            axes.set_xlabel("Distance (km)")
            axes.tick_params(labelbottom=True)
    for axes in panels[len(layers) :]:
        axes.set_axis_off()
    _scale(panels[0], found)
    keys: list[Any] = [
        Line2D([], [], color=_POINTS, marker="o", markersize=4.5, linestyle="", label="measured"),
        Line2D([], [], color=INK, linewidth=1.2, label="model"),
        Line2D([], [], color=_RANGE, linewidth=1.8, label="range"),
    ]
    if buffer:
        keys.append(Line2D([], [], color=_BUFFER, linewidth=1.4, linestyle=_DASHED, label="least distance of splits"))
    legend_below(figure, keys, len(keys))
    said = "; ".join(f"{layer['name']} {range_in_words(layer)}" for layer in layers)
    return to_svg(
        figure,
        "variograms",
        alt=f"Variograms. Range of {said}. Least distance between splits: "
        f"{'not known' if buffer is None else metres(buffer)}.",
        caption="Semivariance of every band and class by the distance of two pixels, in percent of the variance of all "
        "sampled pixels. The range is the distance from which on pixels no longer resemble each other; the splits "
        "should be at least that far apart. The horizontal axis is logarithmic.",
    )


def _panel(axes: Axes, layer: Mapping[str, Any], buffer: float | None) -> None:
    is_range = layer["range_m"] is not None
    title_panel(axes, layer["name"], range_in_words(layer) if is_range else layer["finding"])
    variance = layer["variance"] or 1.0
    lags = [bin_["lag_m"] / 1000 for bin_ in layer["lags"]]
    if buffer:
        axes.axvline(buffer / 1000, color=_BUFFER, linewidth=1.4, linestyle=_DASHED)
    if is_range:
        axes.axvline(layer["range_m"] / 1000, color=_RANGE, linewidth=1.8)
    model = [bin_["model"] for bin_ in layer["lags"]]
    if layer["finding"] in {"range", "no plateau"} and None not in model:
        axes.plot(lags, [value / variance for value in model], color=INK, linewidth=1.2)
    axes.plot(lags, [bin_["semivariance"] / variance for bin_ in layer["lags"]], "o", color=_POINTS, markersize=4.5)
    if not lags or not layer["variance"]:
        axes.text(0.5, 0.5, layer["finding"], ha="center", va="center", transform=axes.transAxes, color=FAINT)


def _scale(axes: Axes, found: Mapping[str, Any]) -> None:
    """Set the axes of all panels: distances in kilometres on a logarithmic axis, semivariance from 0."""
    axes.set_xscale("log")
    farthest = max((bin_["lag_m"] for layer in found["layers"] for bin_ in layer["lags"]), default=1000.0)
    axes.set_xlim(found["pixel_size_m"] / 1000 * 0.7, max(farthest, found["buffer_m"] or 0.0) / 1000 * 1.3)
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    shares = [
        bin_["semivariance"] / layer["variance"]
        for layer in found["layers"]
        if layer["variance"]
        for bin_ in layer["lags"]
    ]
    axes.set_ylim(0, min(max([*shares, 1.0]) * 1.08, 2.5))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))


def _table(found: Mapping[str, Any]) -> Table:
    longer = found["comparison"]["longer"]
    head = (
        "layer",
        "kind",
        "#range",
        "ranges of quarters",
        "longer than the buffer",
        "#exponent",
        "#nugget",
        "#R²",
        "#pairs",
    )
    rows: list[tuple[Cell, ...]] = []
    for layer in found["layers"]:
        model = layer["model"] if layer["range_m"] is not None else None
        share = NONE if model is None or not model["sill"] else f"{model['nugget'] / model['sill']:.0%}"
        is_longer = layer["name"] in longer or layer["longer_than_m"] is not None
        rows.append(
            (
                layer["name"],
                layer["kind"],
                range_in_words(layer),
                parts_in_words(layer) or NONE,
                NONE if found["buffer_m"] is None else ("yes" if is_longer else "no" if model else NONE),
                NONE if model is None else number(model["exponent"], 2),
                share,
                NONE if model is None else number(model["r2"], 2),
                number(layer["n_pairs"]),
            )
        )
    return Table(
        "Ranges of bands and classes",
        head,
        tuple(rows),
        "The ranges of quarters are the least and the greatest range of four parts of the sample. The nugget is the "
        "share of the sill that is there at the shortest distance: noise, and detail smaller than a pixel. "
        "The model is exponential at the exponent 1, and Gaussian at 2.",
    )
