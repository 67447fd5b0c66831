"""QGIS styles (QML) for exported layers: the console's own colours, so that a file opens as the town knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from maps.layers import LAYERS, Layer
from maps.styles import ENDED_COLOUR, GRID_COLOURS, LAMP_COLOURS, NO_GRID_COLOUR, WAITING_COLOUR

# What QGIS calls the colour of a line and of a fill among its data-defined properties.
_LINE_COLOUR, _FILL_COLOUR = "outlineColor", "fillColor"
# (condition, colour, shape, words in both languages), the first that fits counts.
_INCIDENTS = (
    ('"overdue"', LAMP_COLOURS["red"], "diamond", "超时未处置 Overdue"),
    ('"queue" is not null', WAITING_COLOUR, "square", "等待人工 Waits for a person"),
    ('"ended_at" is not null', ENDED_COLOUR, "circle", "已结束 Ended"),
    ('"disposed_at" is not null', LAMP_COLOURS["green"], "triangle", "已处置 Disposed of"),
    ("ELSE", LAMP_COLOURS["amber"], "circle", "办理中 Under way"),
)
_HOT = (
    ('"level" >= 99', "#b2182b", "热点 99% Hot 99 %"),
    ('"level" >= 95', "#ef6548", "热点 95% Hot 95 %"),
    ('"level" >= 90', "#fdbb84", "热点 90% Hot 90 %"),
    ('"level" <= -90', "#4393c3", "冷点 Cold"),
    ("ELSE", "#e5e5e5", "不显著 Not significant"),
)
_RATES = (
    ('"on_time_closing_rate" >= 0.95', "#1a9850", "≥ 95 %"),
    ('"on_time_closing_rate" >= 0.85', "#91cf60", "85-95 %"),
    ('"on_time_closing_rate" >= 0.7', "#fee08b", "70-85 %"),
    ('"on_time_closing_rate" < 0.7', "#d73027", "< 70 %"),
    ("ELSE", NO_GRID_COLOUR, "无应处置案件 Nothing due"),
)


def qml(layer: Layer) -> str:
    """A layer's style as QML."""
    rules, symbols = _rules(layer)
    return (
        '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM">\n'
        '<qgis version="3.22" styleCategories="Symbology|Labeling">\n'
        '<renderer-v2 type="RuleRenderer" symbollevels="0" forceraster="0" enableorderby="0">\n'
        f'<rules key="{{{layer.name}}}">{"".join(rules)}</rules>\n'
        f"<symbols>{''.join(symbols)}</symbols>\n</renderer-v2>\n"
        "<blendMode>0</blendMode><featureBlendMode>0</featureBlendMode><layerOpacity>1</layerOpacity>\n"
        "</qgis>\n"
    )


def colour_expression(column: str) -> str:
    """A QGIS expression for the colour of a grid's code: the one that `maps.styles.grid_colour` gives to numbered codes."""
    colours = ",".join(f"'{colour}'" for colour in GRID_COLOURS)
    number = f"to_int(regexp_substr(\"{column}\", '(\\\\d+)\\\\D*$'))"
    return (
        f"if(\"{column}\" is null or regexp_match(\"{column}\", '\\\\d') = 0, '{NO_GRID_COLOUR}',"
        f" array_get(array({colours}), {number} % {len(GRID_COLOURS)}))"
    )


def _rules(layer: Layer) -> tuple[list[str], list[str]]:
    words = f"{layer.zh} {layer.en}"
    if layer.bounded:
        made = [
            # What has ended is most of a map: small and faint, so that what is open stands out.
            (
                test,
                said,
                _marker(shape, colour, 2.8)
                if colour != ENDED_COLOUR
                else _marker(shape, colour, 1.5, 0.6),
            )
            for test, colour, shape, said in _INCIDENTS
        ]
    elif layer.name == "hotspots":
        made = [(test, said, _fill(colour, opacity=0.65)) for test, colour, said in _HOT]
    elif layer.name == "evaluation_by_grid":
        made = [(test, said, _line(colour, 0.9)) for test, colour, said in _RATES]
    elif layer.geometry == "Point":
        shape, colour = {"crews": ("star", "#a854b8"), "places": ("circle", "#3d8bb3")}.get(
            layer.name, ("square", "#8d5a3c")
        )
        made = [("", words, _marker(shape, colour, 3.4 if shape == "star" else 2.0))]
    elif "Polygon" in layer.geometry:
        made = [("", words, _fill(NO_GRID_COLOUR, opacity=0.45, by=layer.colour_by))]
    else:
        made = [("", words, _line(NO_GRID_COLOUR, 0.7, by=layer.colour_by))]
    kind = {"Point": "marker", "Polygon": "fill", "MultiPolygon": "fill"}.get(
        layer.geometry, "line"
    )
    rules, symbols = [], []
    earlier: list[str] = []
    for place, (test, said, inside) in enumerate(made):
        # QGIS draws every rule that fits, one over the other: each says that none before it does.
        alone = "".join(f" and not coalesce({other}, false)" for other in earlier)
        tested = f" filter={quoteattr(test if test == 'ELSE' else test + alone)}" if test else ""
        earlier.append(test)
        rules.append(
            f'<rule key="{{{layer.name}-{place}}}" symbol="{place}"{tested} label={quoteattr(said)}/>'
        )
        symbols.append(
            f'<symbol name="{place}" type="{kind}" alpha="1" clip_to_extent="1" force_rhr="0">{inside}</symbol>'
        )
    return rules, symbols


def _marker(shape: str, colour: str, size_mm: float, opacity: float = 1.0) -> str:
    return _layer(
        "SimpleMarker",
        {
            "name": shape, "color": _rgba(colour, opacity), "outline_color": _rgba("#ffffff", opacity), "outline_width": "0.2",
            "size": f"{size_mm}", "size_unit": "MM",
        },
    )  # fmt: skip


def _line(colour: str, width_mm: float, by: str | None = None) -> str:
    values = {
        "line_color": _rgba(colour),
        "line_width": f"{width_mm}",
        "line_width_unit": "MM",
        "capstyle": "round",
    }
    return _layer("SimpleLine", values, [(_LINE_COLOUR, by)] if by else ())


def _fill(colour: str, opacity: float, by: str | None = None) -> str:
    values = {
        "color": _rgba(colour, opacity), "style": "solid", "outline_color": _rgba("#ffffff"), "outline_width": "0.3",
    }  # fmt: skip
    return _layer("SimpleFill", values, [(_FILL_COLOUR, by)] if by else (), opacity)


def _layer(
    kind: str,
    values: Mapping[str, str],
    coloured: Sequence[tuple[str, str]] = (),
    alpha: float = 1.0,
) -> str:
    options = "".join(
        f'<Option name="{k}" type="QString" value={quoteattr(v)}/>' for k, v in values.items()
    )
    driven = "".join(
        f'<Option name="{name}" type="Map"><Option name="active" type="bool" value="true"/>'
        f'<Option name="expression" type="QString" value={quoteattr(_shown(column, alpha))}/>'
        '<Option name="type" type="int" value="3"/></Option>'
        for name, column in coloured
    )
    properties = (
        '<data_defined_properties><Option type="Map"><Option name="name" type="QString" value=""/>'
        f'<Option name="properties" type="Map">{driven}</Option>'
        '<Option name="type" type="QString" value="collection"/></Option></data_defined_properties>'
        if driven
        else ""
    )
    return (
        f'<layer class="{kind}" enabled="1" locked="0" pass="0"><Option type="Map">{options}</Option>'
        f"{properties}</layer>"
    )


def _shown(column: str, alpha: float) -> str:
    colour = colour_expression(column)
    return colour if alpha == 1.0 else f"set_color_part({colour}, 'alpha', {round(alpha * 255)})"


def _rgba(colour: str, opacity: float = 1.0) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"{red},{green},{blue},{round(opacity * 255)}"


def styles() -> dict[str, str]:
    """The style of every layer, by name."""
    return {name: qml(layer) for name, layer in LAYERS.items()}
