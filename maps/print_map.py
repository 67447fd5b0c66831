"""A `Drawing` on paper: PNG or PDF with title, legend, scale bar, north arrow, date, in Chinese or English type.

matplotlib draws it in the town's metric plane from the same frames as the page; no browser takes part.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from grid.core.crs import geometries_to_plane, to_plane
from grid.core.errors import Unavailable
from maps.drawing import STREET, Drawing, LegendItem, Words
from maps.thematic_points import HEAT

# A4 lying, inches.
PAGE_IN = (11.69, 8.27)
MAP_BOX = (0.03, 0.06, 0.70, 0.80)
SIDE_X = 0.755
# Families that hold Chinese type, the better for print first.
CHINESE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "SimHei"),
    *("Droid Sans Fallback", "Arial Unicode MS"),
)
SIDE_CHARS = 24
# How much of the paper shines through.
GROUND_ALPHA = 0.85
HEAT_ALPHA = 0.72


def chinese_font() -> str | None:
    """The file of the first Chinese font that this machine has, one installed a moment ago included."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    files = {entry.name: entry.fname for entry in manager.ttflist}
    if not files.keys() & set(CHINESE_FONTS):
        # matplotlib keeps its list over years: it does not know what came since.
        known = set(files.values())
        for file in font_manager.findSystemFonts():
            if file not in known:
                with contextlib.suppress(OSError, RuntimeError):
                    manager.addfont(file)
        files = {entry.name: entry.fname for entry in manager.ttflist}
    return next((files[name] for name in CHINESE_FONTS if name in files), None)


def print_map(
    drawing: Drawing, words: Words, town: str, epsg: int, printed_at: datetime, kind: str
) -> bytes:
    """The map as "png" (200 dpi) or "pdf"; `printed_at` in the town's zone, `epsg` its metric plane.

    Raises Unavailable `maps.no_chinese_font` when the map has Chinese words and this machine no type for them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    type_ = _Type(drawing, town, words)
    figure = Figure(figsize=PAGE_IN, dpi=200, facecolor="white")
    axes = figure.add_axes(MAP_BOX)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#4a5663")
    _fit(axes, drawing, epsg)
    _draw(axes, drawing, epsg, type_)
    axes.set_xlabel("")
    axes.set_ylabel("")
    _scale_bar(axes, type_)
    _north(axes, type_, words)
    figure.text(0.03, 0.945, drawing.title, fontproperties=type_.of(19, bold=True), va="center")
    figure.text(
        0.03,
        0.895,
        _line(town, drawing.subtitle),
        fontproperties=type_.of(11),
        va="center",
        color="#33414f",
    )
    _legend(figure, drawing, words, type_)
    foot = words("maps.printed", at=f"{printed_at:%Y-%m-%d %H:%M}", epsg=epsg)
    figure.text(0.03, 0.025, foot, fontproperties=type_.of(8), color="#33414f")
    written = io.BytesIO()
    if kind == "pdf":
        FigureCanvasPdf(figure).print_pdf(  # type: ignore[no-untyped-call]
            written, metadata={"Title": drawing.title, "Creator": "Gridward"}
        )
    else:
        FigureCanvasAgg(figure).print_png(  # type: ignore[no-untyped-call]
            written, metadata={"Title": drawing.title}
        )
    return written.getvalue()


class _Type:
    """The type of one print: the Chinese font wherever a Chinese sign may come, else matplotlib's own."""

    def __init__(self, drawing: Drawing, town: str, words: Words) -> None:
        self._file = chinese_font()
        said: list[object] = [
            drawing.title,
            drawing.subtitle,
            town,
            words("maps.legend"),
            *drawing.notes,
        ]
        said += [item.text for item in drawing.legend]
        if drawing.shapes is not None:
            said += [label for label in drawing.shapes["label"] if isinstance(label, str)]
        if self._file is None and any(ord(sign) > 0x2E7F for one in said for sign in str(one)):
            raise Unavailable("maps.no_chinese_font")

    def of(self, points: float, *, bold: bool = False) -> Any:
        from matplotlib.font_manager import FontProperties

        if self._file is None:
            return FontProperties(size=points, weight="bold" if bold else "normal")
        return FontProperties(fname=self._file, size=points)


def _fit(axes: Any, drawing: Drawing, epsg: int) -> None:
    west, south, east, north = drawing.bounds or (0.0, 0.0, 1.0, 1.0)
    x, y = to_plane([west, east, west, east], [south, south, north, north], epsg)
    width, height = float(np.ptp(x)) or 100.0, float(np.ptp(y)) or 100.0
    box = (MAP_BOX[2] * PAGE_IN[0]) / (MAP_BOX[3] * PAGE_IN[1])
    # The frame stays as it is; the ground around the town fills it.
    width = max(width * 1.06, height * 1.06 * box)
    height = width / box
    middle_x, middle_y = float(np.mean([min(x), max(x)])), float(np.mean([min(y), max(y)]))
    axes.set_xlim(middle_x - width / 2, middle_x + width / 2)
    axes.set_ylim(middle_y - height / 2, middle_y + height / 2)


def _draw(axes: Any, drawing: Drawing, epsg: int, type_: _Type) -> None:
    lines = drawing.streets if drawing.streets is not None else gpd.GeoSeries([], crs=4326)
    if drawing.shapes is not None and len(drawing.shapes):
        _shapes(axes, drawing.shapes, epsg, type_)
    if len(lines):
        plane = gpd.GeoSeries(geometries_to_plane(lines.to_numpy(), epsg))
        plane.plot(ax=axes, color=STREET, linewidth=0.45, zorder=2.5, aspect=None)
    if drawing.heat is not None and len(drawing.heat):
        _heat(axes, drawing.heat, epsg)
    if drawing.dots is not None and len(drawing.dots):
        dots = drawing.dots
        x, y = to_plane(dots["lon"], dots["lat"], epsg)
        size = np.where(dots["n"] > 1, 12 + 7 * np.sqrt(dots["n"].to_numpy(dtype=float)), 30.0)
        axes.scatter(
            x,
            y,
            s=size,
            c=dots["colour"].tolist(),
            edgecolors="white",
            linewidths=0.4,
            zorder=5,
            alpha=0.9,
        )


def _shapes(axes: Any, shapes: gpd.GeoDataFrame, epsg: int, type_: _Type) -> None:
    import matplotlib.patheffects as effects

    plane = gpd.GeoDataFrame(
        shapes.drop(columns="geometry"),
        geometry=geometries_to_plane(shapes.geometry.to_numpy(), epsg),
    )
    filled = plane["fill"].notna().to_numpy()
    if filled.any():
        ground = plane[filled]
        ground.plot(
            ax=axes, color=ground["fill"].tolist(), edgecolor=ground["line"].tolist(),
            linewidth=0.6, zorder=2, aspect=None, alpha=GROUND_ALPHA,
        )  # fmt: skip
    if (~filled).any():
        lines = plane[~filled]
        lines.plot(
            ax=axes,
            color=lines["line"].tolist(),
            linewidth=(lines["width_px"] * 0.6).tolist(),
            zorder=3,
            aspect=None,
        )
    named = plane[plane["label"].notna()]
    if len(named) > 150:
        return
    for row in named.itertuples(index=False):
        spot = row.geometry.representative_point()
        axes.text(
            spot.x, spot.y, row.label, fontproperties=type_.of(7), ha="center", va="center", zorder=6,
            path_effects=[effects.withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip


def _heat(axes: Any, heat: NDArray[np.float64], epsg: int) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = to_plane(heat[:, 0], heat[:, 1], epsg)
    bins = (420, int(420 * (high - low) / (right - left)))
    thick, _, _ = np.histogram2d(
        x, y, bins=bins, range=((left, right), (low, high)), weights=heat[:, 2]
    )
    smooth = gaussian_filter(thick, 6.0).T
    top = float(np.quantile(smooth[smooth > 0], 0.995)) if (smooth > 0).any() else 1.0
    shown = np.ma.masked_less(smooth, top * 0.03)
    axes.imshow(
        shown, origin="lower", extent=(left, right, low, high), vmin=0, vmax=top, zorder=4, alpha=HEAT_ALPHA,
        cmap=LinearSegmentedColormap.from_list("heat", HEAT), interpolation="bilinear", aspect="auto",
    )  # fmt: skip


def round_length_m(width_m: float) -> float:
    """The length of a scale bar: 1, 2 or 5 times a power of ten, about a fifth of the map's width."""
    goal = max(width_m / 5, 1.0)
    power = 10.0 ** np.floor(np.log10(goal))
    return float(max(step * power for step in (1, 2, 5) if step * power <= goal))


def _scale_bar(axes: Any, type_: _Type) -> None:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    width, height = right - left, high - low
    length = round_length_m(width)
    x, y, thick = left + width * 0.03, low + height * 0.035, height * 0.008
    axes.add_patch(
        _box(
            x - width * 0.012,
            y - height * 0.018,
            length + width * 0.06,
            height * 0.07,
            "white",
            0.85,
        )
    )
    for part in range(4):
        colour = "#17212f" if part % 2 == 0 else "white"
        axes.add_patch(_box(x + part * length / 4, y, length / 4, thick, colour, 1.0, "#17212f"))
    said = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    for at, word in ((0.0, "0"), (length, said)):
        axes.text(
            x + at,
            y + thick * 1.8,
            word,
            fontproperties=type_.of(8),
            ha="center",
            va="bottom",
            zorder=9,
        )


def _box(
    x: float, y: float, width: float, height: float, fill: str, alpha: float, edge: str = "none"
) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x, y), width, height, facecolor=fill, edgecolor=edge, alpha=alpha, linewidth=0.7, zorder=8
    )


def _north(axes: Any, type_: _Type, words: Words) -> None:
    """Grid north: the plane's y. It differs from true north by the meridian convergence, below two degrees."""
    spot = {"xycoords": "axes fraction", "ha": "center", "va": "center", "zorder": 9}
    axes.annotate(
        "", xy=(0.965, 0.97), xytext=(0.965, 0.885), xycoords="axes fraction", zorder=9,
        arrowprops={"facecolor": "#17212f", "edgecolor": "white", "width": 3.2, "headwidth": 11, "headlength": 12},
    )  # fmt: skip
    axes.annotate(words("maps.north"), xy=(0.965, 0.865), fontproperties=type_.of(11), **spot)


def _legend(figure: Any, drawing: Drawing, words: Words, type_: _Type) -> None:
    figure.text(
        SIDE_X, 0.845, words("maps.legend"), fontproperties=type_.of(12, bold=True), va="center"
    )
    at = 0.805
    for item in drawing.legend:
        at = _legend_line(figure, item, at, type_)
    notes = [words("maps.incidents_total", n=f"{drawing.incidents:,}")] if drawing.incidents else []
    if drawing.empty:
        notes.insert(0, drawing.empty)
    at -= 0.01
    for note in (*notes, *drawing.notes):
        for line in wrapped(note, SIDE_CHARS):
            if at < 0.05:
                return
            figure.text(SIDE_X, at, line, fontproperties=type_.of(8), va="center", color="#33414f")
            at -= 0.022
        at -= 0.008


def _legend_line(figure: Any, item: LegendItem, at: float, type_: _Type) -> float:
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    def patch(x: float, width: float, colour: str, alpha: float) -> None:
        # The colour as it is seen in the map.
        figure.add_artist(
            Rectangle(
                (x, at - 0.008), width, 0.018, facecolor=to_rgba(colour, alpha), edgecolor="#4a5663", linewidth=0.5,
            )
        )  # fmt: skip

    text_x = SIDE_X + 0.035
    if item.kind == "ramp":
        for k, colour in enumerate(item.colours):
            patch(SIDE_X + k * 0.02, 0.02, colour, HEAT_ALPHA)
        text_x = SIDE_X + 0.02 * len(item.colours) + 0.01
    elif item.kind == "fill" and item.colours:
        patch(SIDE_X, 0.026, item.colours[0], GROUND_ALPHA)
    elif item.colours:
        dot = item.kind == "dot"
        figure.add_artist(
            Line2D(
                [SIDE_X + 0.013] if dot else [SIDE_X, SIDE_X + 0.026], [at] if dot else [at, at],
                color=item.colours[0], linewidth=3, marker="o" if dot else None, markersize=7,
            )
        )  # fmt: skip
    lines = wrapped(item.text, SIDE_CHARS - 6)
    for k, line in enumerate(lines):
        figure.text(text_x, at - k * 0.02, line, fontproperties=type_.of(9), va="center")
    return at - 0.031 - 0.02 * (len(lines) - 1)


def wrapped(text: str, wide: int) -> list[str]:
    """Lines of at most `wide` Chinese signs; a Latin letter takes half the room of one and words stay whole."""
    lines, line, used = [""], "", 0.0
    for word in _pieces(text):
        room = sum(1.0 if ord(sign) > 0x2E7F else 0.52 for sign in word)
        if used + room > wide and line.strip():
            lines[-1] = line.rstrip()
            lines.append("")
            line, used, word = "", 0.0, word.lstrip()
        line, used = line + word, used + room
        lines[-1] = line.rstrip()
    return [one for one in lines if one]


def _pieces(text: str) -> Sequence[str]:
    pieces: list[str] = []
    for sign in text:
        alone = ord(sign) > 0x2E7F
        if (
            pieces and not alone and not pieces[-1].endswith(" ") and ord(pieces[-1][-1]) <= 0x2E7F
        ) or (pieces and alone and sign in "，。；：、）》"):
            pieces[-1] += sign
        else:
            pieces.append(sign)
    return pieces


def _line(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
