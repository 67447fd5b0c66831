"""Tables of the ground floor: the town, its streets and segments, grids, people and places.

Geometry is EPSG:4326 lon/lat. Columns ending in `_plane` hold the same geometry in the town's plane
(`town.plane_epsg`, metres, x east, y north): nearest-segment search runs on them, so that SQL and
numpy measure with the same doubles. Their SRID is 0 because each town has its own plane.

What holds for a time has a `valid` range; PostgreSQL refuses two holders of one thing at one moment
by exclusion constraints.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    Time,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base

POSTS = ("officer", "cleaner", "gardener", "maintainer")
HOLDINGS = (*POSTS, "leader")
# A plane is the town's own: PostGIS calls a geometry without a reference system SRID 0, GeoAlchemy2 -1.
NO_SRID = -1
SIDES = ("left", "right")
# What becomes of open incidents when ground or a post passes to somebody else: those that nobody has begun
# follow, all follow, none follows.
HAND_OVERS = ("offered", "all", "none")
# The lower, the more important: decides between segments at equal distance (see grid/locate.py).
CLASS_RANK = {
    "trunk": 0,
    "primary": 1,
    "secondary": 2,
    "tertiary": 3,
    "residential": 4,
    "service": 5,
    "pedestrian": 6,
    "path": 7,
}


def identity_column() -> Mapped[int]:
    """A generated bigint primary key."""
    return mapped_column(BigInteger, Identity(), primary_key=True)


def geometry_column_type(kind: str, srid: int = 4326) -> Geometry:
    """A geometry type without the automatic index: indexes are named where the table is."""
    return Geometry(kind, srid=srid, spatial_index=False)


class Town(Base):
    """The one row that says which town this is."""

    __tablename__ = "town"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str | None] = mapped_column(Text)
    plane_epsg: Mapped[int] = mapped_column(Integer)
    boundary: Mapped[WKBElement | None] = mapped_column(geometry_column_type("MULTIPOLYGON"))
    # Raised by every change of streets, grids, people or places: caches compare it, so none goes stale.
    ground_version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    # Raised by every place learned or forgotten: the gazetteer takes them over without being built anew.
    learned_version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    # Another one with every change of categories, limits, rules of chasing or calendars (grid/town.py).
    rules_version: Mapped[int] = mapped_column(BigInteger, server_default="1")


class ChangeCount(Base):
    """How often streets, grids or people changed, by transaction; written by triggers (grid/change_counts.py)."""

    __tablename__ = "change_count"

    part: Mapped[str] = mapped_column(Text, primary_key=True)
    # The transaction that counted here; 0 holds the rows that were added up.
    writer: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default="0")
    number: Mapped[int] = mapped_column(BigInteger, server_default="1")
    # Random with every change: a count alone could come again after one that was taken back.
    tag: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Street(Base):
    """A named street; its segments carry the geometry."""

    __tablename__ = "street"

    id: Mapped[int] = identity_column()
    name: Mapped[str] = mapped_column(Text, unique=True)
    names: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))


class Crossing(Base):
    """A place where streets really meet, or where one ends."""

    __tablename__ = "crossing"
    __table_args__ = (Index("ix_crossing_point", "point", postgresql_using="gist"),)

    id: Mapped[int] = identity_column()
    source_key: Mapped[str] = mapped_column(Text, unique=True)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))
    point_plane: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT", NO_SRID))


class Segment(Base):
    """A stretch of one street between two crossings."""

    __tablename__ = "segment"
    __table_args__ = (
        Index("ix_segment_line", "line", postgresql_using="gist"),
        Index(
            "ix_segment_line_plane",
            "line_plane",
            postgresql_using="gist",
            postgresql_where=text("gone_at is null"),
        ),
    )

    id: Mapped[int] = identity_column()
    source_key: Mapped[str] = mapped_column(Text, index=True)
    street_id: Mapped[int | None] = mapped_column(ForeignKey("street.id"), index=True)
    class_: Mapped[str] = mapped_column("class", Text)
    rank: Mapped[int] = mapped_column(SmallInteger)
    form: Mapped[str] = mapped_column(Text, server_default="single")
    oneway: Mapped[str] = mapped_column(Text, server_default="no")
    level: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    from_crossing_id: Mapped[int] = mapped_column(ForeignKey("crossing.id"), index=True)
    to_crossing_id: Mapped[int] = mapped_column(ForeignKey("crossing.id"), index=True)
    length_m: Mapped[float] = mapped_column(Float)
    left_from: Mapped[int | None] = mapped_column(Integer)
    left_to: Mapped[int | None] = mapped_column(Integer)
    right_from: Mapped[int | None] = mapped_column(Integer)
    right_to: Mapped[int | None] = mapped_column(Integer)
    # The street file draws it the other way: we keep the direction in which it was first drawn.
    turned: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    line: Mapped[WKBElement] = mapped_column(geometry_column_type("LINESTRING"))
    line_plane: Mapped[WKBElement] = mapped_column(geometry_column_type("LINESTRING", NO_SRID))
    since_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    gone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Boundary(Base):
    """An administrative area: town, township or community."""

    __tablename__ = "boundary"
    __table_args__ = (
        UniqueConstraint("level", "name"),
        CheckConstraint("level in ('town', 'township', 'community')", name="level"),
        Index("ix_boundary_area", "area", postgresql_using="gist"),
    )

    id: Mapped[int] = identity_column()
    level: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    names: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    code: Mapped[str | None] = mapped_column(Text)
    area: Mapped[WKBElement] = mapped_column(geometry_column_type("MULTIPOLYGON"))


class Cell(Base):
    """A standard unit cell (单元网格) inside a community: a fixed piece of ground of about 100 m by 100 m."""

    __tablename__ = "cell"
    __table_args__ = (Index("ix_cell_area", "area", postgresql_using="gist"),)

    id: Mapped[int] = identity_column()
    code: Mapped[str] = mapped_column(Text, unique=True)
    community: Mapped[str | None] = mapped_column(Text)
    area: Mapped[WKBElement] = mapped_column(geometry_column_type("MULTIPOLYGON"))


class Place(Base):
    """A named place of interest."""

    __tablename__ = "place"
    __table_args__ = (Index("ix_place_point", "point", postgresql_using="gist"),)

    id: Mapped[int] = identity_column()
    source_key: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, index=True)
    names: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    kind: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))
    area: Mapped[WKBElement | None] = mapped_column(geometry_column_type("MULTIPOLYGON"))


class DoorPlate(Base):
    """A number plate at a building or entrance, tied to the segment of its street."""

    __tablename__ = "door_plate"
    __table_args__ = (Index("ix_door_plate_point", "point", postgresql_using="gist"),)

    id: Mapped[int] = identity_column()
    source_key: Mapped[str] = mapped_column(Text, unique=True)
    street_id: Mapped[int | None] = mapped_column(ForeignKey("street.id"), index=True)
    street_name: Mapped[str] = mapped_column(Text)
    house_number: Mapped[str] = mapped_column(Text)
    community: Mapped[str | None] = mapped_column(Text)
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segment.id"), index=True)
    side: Mapped[str | None] = mapped_column(Text)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))


class StreetMark(Base):
    """A kilometre post or a numbered facility (lamp pole, cover, bus stop) on a street."""

    __tablename__ = "street_mark"
    __table_args__ = (
        CheckConstraint("kind in ('km_post', 'facility')", name="kind"),
        UniqueConstraint("kind", "street_name", "code"),
    )

    id: Mapped[int] = identity_column()
    kind: Mapped[str] = mapped_column(Text)
    street_name: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))


class LearnedPlace(Base):
    """Words that a person once tied to a point; a door plate when a street and a number are given."""

    __tablename__ = "learned_place"
    __table_args__ = (Index("ix_learned_place_words_key", "words_key"),)

    id: Mapped[int] = identity_column()
    words: Mapped[str] = mapped_column(Text)
    # The words as the gazetteer looks them up: folded, without blanks.
    words_key: Mapped[str] = mapped_column(Text)
    street_name: Mapped[str | None] = mapped_column(Text)
    house_number: Mapped[str | None] = mapped_column(Text)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))
    incident_number: Mapped[str | None] = mapped_column(Text, index=True)
    learned_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    learned_by: Mapped[str] = mapped_column(Text)
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    undone_by: Mapped[str | None] = mapped_column(Text)


class Alias(Base):
    """Another name of a street or place: former, short or popular. By name, so that it outlives an import."""

    __tablename__ = "alias"
    __table_args__ = (
        UniqueConstraint("kind", "name", "alias"),
        CheckConstraint("kind in ('street', 'place')", name="kind"),
    )

    id: Mapped[int] = identity_column()
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    alias: Mapped[str] = mapped_column(Text)


class KnownDefaultPoint(Base):
    """A point that stands for "unknown" wherever it comes from, in WGS 84; found in archives or told by a person."""

    __tablename__ = "default_point"

    id: Mapped[int] = identity_column()
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))
    source: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class OutsideAnswer(Base):
    """What a geocoder outside said to a text, kept for a while so that it is asked once."""

    __tablename__ = "outside_answer"
    __table_args__ = (UniqueConstraint("source", "words"),)

    id: Mapped[int] = identity_column()
    source: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    found: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class Unit(Base):
    """A body or contractor whose people work in the grids."""

    __tablename__ = "unit"

    id: Mapped[int] = identity_column()
    name: Mapped[str] = mapped_column(Text, unique=True)
    kind: Mapped[str] = mapped_column(Text, server_default="own")
    code: Mapped[str | None] = mapped_column(Text, unique=True)
    # The unit that this one is part of; its head answers where this one has none.
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("unit.id"), index=True)


class Staff(Base):
    """A person of the bureau or a contractor."""

    __tablename__ = "staff"
    __table_args__ = (
        Index(
            "uq_staff_one_head_per_unit",
            "unit_id",
            unique=True,
            postgresql_where=text("heads_unit and left_at is null"),
        ),
    )

    id: Mapped[int] = identity_column()
    staff_no: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, index=True)
    post: Mapped[str] = mapped_column(Text)
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("unit.id"), index=True)
    phone: Mapped[str | None] = mapped_column(Text)
    heads_unit: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # The person's leader; leaders have leaders, up to the one who has none.
    reports_to: Mapped[int | None] = mapped_column(ForeignKey("staff.id"), index=True)
    left_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Grid(Base):
    """A responsibility grid; what it holds is in `grid_segment`, who serves it in `post_holding`."""

    __tablename__ = "grid"
    __table_args__ = (
        ExcludeConstraint(
            ("code", "="), ("valid", "&&"), name="ex_grid_one_code_at_a_time", using="gist"
        ),
    )

    id: Mapped[int] = identity_column()
    code: Mapped[str] = mapped_column(Text, index=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str | None] = mapped_column(Text)
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class GridSegment(Base):
    """Which grid holds which side of which segment, from when to when."""

    __tablename__ = "grid_segment"
    __table_args__ = (
        CheckConstraint("side in ('left', 'right')", name="side"),
        CheckConstraint("hand_over in ('offered', 'all', 'none')", name="hand_over"),
        ExcludeConstraint(
            ("segment_id", "="),
            ("side", "="),
            ("valid", "&&"),
            name="ex_grid_segment_one_grid_at_a_time",
            using="gist",
        ),
        Index("ix_grid_segment_segment_id", "segment_id"),
        Index("ix_grid_segment_grid_id", "grid_id"),
    )

    id: Mapped[int] = identity_column()
    segment_id: Mapped[int] = mapped_column(ForeignKey("segment.id"))
    side: Mapped[str] = mapped_column(Text)
    grid_id: Mapped[int] = mapped_column(ForeignKey("grid.id"))
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    # One of HAND_OVERS: which open incidents come along when this begins.
    hand_over: Mapped[str] = mapped_column(Text, server_default="offered")


class GridArea(Base):
    """An area that is a grid's ground; what lies in it is the grid's, whatever segment is nearest.

    Drawn: imported with the grid itself. Given: a park, market or square given to it (`grid/areas.py`).
    """

    __tablename__ = "grid_area"
    __table_args__ = (
        CheckConstraint("kind in ('drawn', 'given')", name="kind"),
        Index("ix_grid_area_area_plane", "area_plane", postgresql_using="gist"),
    )

    id: Mapped[int] = identity_column()
    grid_id: Mapped[int] = mapped_column(ForeignKey("grid.id"), index=True)
    kind: Mapped[str] = mapped_column(Text, server_default="drawn")
    name: Mapped[str | None] = mapped_column(Text)
    area_plane: Mapped[WKBElement] = mapped_column(geometry_column_type("MULTIPOLYGON", NO_SRID))
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class Territory(Base):
    """The kept ground of one grid; `kept_territory` says of which ground and for which moments."""

    __tablename__ = "territory"
    __table_args__ = (Index("ix_territory_area", "area", postgresql_using="gist"),)

    grid_id: Mapped[int] = mapped_column(
        ForeignKey("grid.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    area_m2: Mapped[float] = mapped_column(Float)
    area: Mapped[WKBElement] = mapped_column(geometry_column_type("MULTIPOLYGON"))
    area_plane: Mapped[WKBElement] = mapped_column(geometry_column_type("MULTIPOLYGON", NO_SRID))


class TerritorySegment(Base):
    """A segment as it was when the territory was kept: what differs from it now is worked out anew."""

    __tablename__ = "territory_segment"

    segment_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    rank: Mapped[int] = mapped_column(SmallInteger)
    left_grid_id: Mapped[int] = mapped_column(BigInteger)
    right_grid_id: Mapped[int] = mapped_column(BigInteger)
    line_plane: Mapped[WKBElement] = mapped_column(geometry_column_type("LINESTRING", NO_SRID))


class KeptTerritory(Base):
    """The one row that says which ground the rows of `territory` belong to."""

    __tablename__ = "kept_territory"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    ground_version: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # Between two changes of what grids hold: outside it another territory is in force.
    holds: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    boundary_plane: Mapped[WKBElement] = mapped_column(geometry_column_type("GEOMETRY", NO_SRID))
    # What the boundary was made of, and the areas that went before: [grid_id, hash, west, south, east, north].
    boundary_hash: Mapped[str] = mapped_column(Text)
    areas: Mapped[list[list[Any]]] = mapped_column(JSONB)


class TileLine(Base):
    """A segment in force as the tiles of web maps draw it (grid/tile_lines.py)."""

    __tablename__ = "tile_line"
    __table_args__ = (Index("ix_tile_line_geom", "geom", postgresql_using="gist"),)

    segment_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    street: Mapped[str | None] = mapped_column(Text)
    class_: Mapped[str] = mapped_column("class", Text)
    grid_left: Mapped[str | None] = mapped_column(Text)
    grid_right: Mapped[str | None] = mapped_column(Text)
    geom: Mapped[WKBElement] = mapped_column(geometry_column_type("LINESTRING", 3857))


class TileChange(Base):
    """Where lines were drawn anew, in the order in which that became visible."""

    __tablename__ = "tile_change"
    __table_args__ = (Index("ix_tile_change_box", "box", postgresql_using="gist"),)

    number: Mapped[int] = identity_column()
    box: Mapped[WKBElement] = mapped_column(geometry_column_type("GEOMETRY", 3857))


class TilePending(Base):
    """A segment (null: all) whose line must be drawn anew from a moment on; noted by triggers only."""

    __tablename__ = "tile_pending"

    id: Mapped[int] = identity_column()
    segment_id: Mapped[int | None] = mapped_column(BigInteger)
    effective_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class PostHolding(Base):
    """Who holds a post of a grid (or of one segment, which goes before) from when to when."""

    __tablename__ = "post_holding"
    __table_args__ = (
        CheckConstraint(
            "post in ('officer', 'cleaner', 'gardener', 'maintainer', 'leader')", name="post"
        ),
        CheckConstraint("(grid_id is null) <> (segment_id is null)", name="one_place"),
        CheckConstraint("hand_over in ('offered', 'all', 'none')", name="hand_over"),
        ExcludeConstraint(
            ("grid_id", "="),
            ("post", "="),
            ("valid", "&&"),
            name="ex_post_holding_one_holder_of_grid",
            using="gist",
            where=text("grid_id is not null"),
        ),
        ExcludeConstraint(
            ("segment_id", "="),
            ("post", "="),
            ("valid", "&&"),
            name="ex_post_holding_one_holder_of_segment",
            using="gist",
            where=text("segment_id is not null"),
        ),
        Index("ix_post_holding_staff_id", "staff_id"),
    )

    id: Mapped[int] = identity_column()
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"))
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segment.id"))
    post: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    # One of HAND_OVERS: which open incidents come along when this begins.
    hand_over: Mapped[str] = mapped_column(Text, server_default="offered")


class Shift(Base):
    """Hours of the week in which a person works, for a period; who has none works always.

    `begins` and `ends` are by the clock of `time_zone`; a shift that ends no later than it begins goes on into
    the next day. Several rows of one person add up.
    """

    __tablename__ = "shift"
    __table_args__ = (
        CheckConstraint(
            "cardinality(weekdays) > 0 and weekdays <@ '{1,2,3,4,5,6,7}'::smallint[]",
            name="weekdays",
        ),
        Index("ix_shift_staff_id", "staff_id"),
    )

    id: Mapped[int] = identity_column()
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    name: Mapped[str] = mapped_column(Text)
    # Monday is 1, Sunday 7: the day on which the shift begins.
    weekdays: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    begins: Mapped[time] = mapped_column(Time)
    ends: Mapped[time] = mapped_column(Time)
    time_zone: Mapped[str] = mapped_column(Text)
    # Who covers the person's posts outside these hours.
    substitute_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class Absence(Base):
    """A leave of one person, with the substitute who stands in for all posts held."""

    __tablename__ = "absence"
    __table_args__ = (
        ExcludeConstraint(
            ("staff_id", "="), ("valid", "&&"), name="ex_absence_one_at_a_time", using="gist"
        ),
    )

    id: Mapped[int] = identity_column()
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    substitute_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    reason: Mapped[str | None] = mapped_column(Text)


class Division(Base):
    """One proposal or applied division, with its figures; the segments' grids are in `plan`."""

    __tablename__ = "division"

    id: Mapped[int] = identity_column()
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    in_force_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB)
    applied: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB)
