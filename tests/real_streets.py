"""The OpenStreetMap extracts that tests read, and what DECISIONS.md says is kept of them; not from our reader."""

OSM_FILES = [
    "europe/helsinki-center.osm.pbf",
    "china/shanghai-west-roads.osm.pbf",
    "china/beijing-xueyuan-south.osm",
]
# The classes of highway that are kept.
KEPT = frozenset(
    [
        "motorway",
        "trunk",
        "primary",
        "secondary",
        "tertiary",
        "unclassified",
        "residential",
        "living_street",
        "road",
        "service",
        "busway",
        "pedestrian",
        "footway",
        "path",
        "steps",
        "cycleway",
        "bridleway",
        "track",
    ]
)
