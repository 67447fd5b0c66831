"""Which kind of place an OSM object is, in our words; the first rule that fits decides."""

from __future__ import annotations

Tags = dict[str, str]

_RULES: tuple[tuple[str, frozenset[str] | None, str], ...] = (
    ("amenity", frozenset({"marketplace"}), "market"),
    ("shop", frozenset({"supermarket", "mall", "department_store", "wholesale"}), "market"),
    ("amenity", frozenset({"school", "kindergarten", "college", "university"}), "school"),
    ("building", frozenset({"school", "kindergarten", "college", "university"}), "school"),
    ("amenity", frozenset({"hospital", "clinic", "doctors", "dentist"}), "hospital"),
    ("healthcare", frozenset({"hospital", "clinic", "doctor", "centre"}), "hospital"),
    ("amenity", frozenset({"pharmacy"}), "pharmacy"),
    ("amenity", frozenset({"toilets"}), "toilet"),
    ("amenity", frozenset({"bank", "atm", "bureau_de_change"}), "bank"),
    ("amenity", frozenset({"police"}), "police"),
    ("amenity", frozenset({"fire_station"}), "fire_station"),
    ("amenity", frozenset({"townhall", "courthouse", "public_building", "post_office"}), "government"),
    ("office", frozenset({"government", "administrative", "diplomatic"}), "government"),
    ("building", frozenset({"government", "public", "civic"}), "government"),
    ("amenity", frozenset({"bus_station", "ferry_terminal"}), "station"),
    ("railway", frozenset({"station", "halt", "subway_entrance", "tram_stop"}), "station"),
    ("building", frozenset({"train_station"}), "station"),
    ("public_transport", frozenset({"station"}), "station"),
    ("highway", frozenset({"bus_stop"}), "stop"),
    ("public_transport", None, "stop"),
    ("amenity", frozenset({"parking", "bicycle_parking", "parking_entrance"}), "parking"),
    ("amenity", frozenset({"fuel", "charging_station"}), "fuel"),
    ("amenity", frozenset({"place_of_worship"}), "temple"),
    ("amenity", frozenset({"theatre", "cinema", "library", "arts_centre", "community_centre"}), "culture"),
    ("tourism", frozenset({"museum", "gallery"}), "culture"),
    ("tourism", frozenset({"hotel", "hostel", "motel", "guest_house", "apartment"}), "hotel"),
    ("amenity", frozenset({"restaurant", "fast_food", "cafe", "bar", "pub", "food_court"}), "restaurant"),
    ("leisure", frozenset({"park", "garden", "nature_reserve", "playground", "dog_park"}), "park"),
    ("leisure", frozenset({"stadium", "sports_centre", "sports_hall", "swimming_pool", "pitch", "track"}), "sport"),
    ("place", frozenset({"square"}), "square"),
    ("highway", frozenset({"pedestrian"}), "square"),
    ("man_made", frozenset({"bridge"}), "bridge"),
    ("bridge:name", None, "bridge"),
    ("landuse", frozenset({"residential"}), "residential"),
    ("place", frozenset({"neighbourhood", "quarter", "suburb", "hamlet", "village"}), "residential"),
    ("building", frozenset({"apartments", "residential", "house", "dormitory"}), "residential"),
    ("shop", None, "shop"),
    ("office", None, "office"),
    ("historic", None, "monument"),
    ("tourism", None, "attraction"),
    ("natural", frozenset({"water"}), "water"),
    ("leisure", None, "leisure"),
    ("amenity", None, "amenity"),
    ("landuse", frozenset({"commercial", "retail", "industrial", "construction"}), "estate"),
    ("building", None, "building"),
)  # fmt: skip


def kind_of(tags: Tags) -> str | None:
    """market, school, hospital, pharmacy, toilet, bank, police, fire_station, government, station, stop,
    parking, fuel, temple, culture, hotel, restaurant, park, sport, square, bridge, residential, shop,
    office, monument, attraction, water, leisure, amenity, estate, building; None for what is no place."""
    for key, values, kind in _RULES:
        said = tags.get(key)
        if said is not None and said != "no" and (values is None or said in values):
            return kind
    return None
