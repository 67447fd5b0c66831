"""Every route by every role: who is let in, who is refused, and that no route was forgotten.

The table below says which permission each route wants; the walk asks each route as each role, as nobody, and
with a token that was given nothing. A new route fails here until somebody has said who may use it. Run with
`-s` to see the table of routes and roles.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from api import auth
from api.cli.demonstration import SAMPLE_PASSWORD
from api.deps import SESSION_COOKIE
from api.pages import routers as page_routers
from api.permissions import PERMISSIONS, ROLES, may
from api.services import Services
from tests.acceptance.site import category_of, report_at, spot_of
from tests.web import Office, office

OPEN, SIGNED_IN = "open", "signed in"
NOBODY = "00000000-000000"
JSON_ROUTES: dict[str, str] = {
    "POST /api/v1/incidents/moves": "move",
    "POST /api/v1/incidents/{number}/presence": "console",
    "GET /api/v1/desk/queues": "console",
    "GET /api/v1/desk/marks": "console",
    "GET /api/v1/desk/neighbours": "console",
    "GET /api/v1/desk/on-duty": "see_duty",
    "GET /api/v1/desk/load": "console",
    "GET /api/v1/desk/patrolled": "console",
    "GET /api/v1/desk/grids": "console",
    "GET /api/v1/evaluation": "evaluate",
    "GET /api/v1/evaluation/cases": "evaluate",
    "GET /api/v1/ready-replies": "move",
    "GET /api/v1/ready-replies/all": "edit_replies",
    "POST /api/v1/ready-replies": "edit_replies",
    "PUT /api/v1/ready-replies/{reply}": "edit_replies",
    "DELETE /api/v1/ready-replies/{reply}": "edit_replies",
    "GET /api/v1/incidents/{number}/resident-words": "move",
    "GET /api/v1/incidents/{number}/notices": "console",
    "GET /api/v1/desk/handover": "console",
    "POST /api/v1/desk/handover/notes": "console",
    "GET /api/v1/saved-filters": "console",
    "POST /api/v1/saved-filters": "console",
    "DELETE /api/v1/saved-filters/{filter_id}": "console",
    "GET /api/v1/field/desk": "field",
    "GET /api/v1/field/ground": "field",
    "POST /api/v1/field/incidents/{number}/pin": "field",
    "POST /api/v1/field/reports": "field",
    "GET /api/v1/shift": "field",
    "POST /api/v1/shift/sign-in": "field",
    "POST /api/v1/shift/sign-out": "field",
    "POST /api/v1/me/positions": "field",
    "GET /api/v1/on-duty": "see_duty",
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": OPEN,
    "POST /api/v1/token": OPEN,
    "GET /api/v1/geocode": OPEN,
    "GET /api/v1/route": OPEN,
    "GET /api/v1/categories": OPEN,
    "GET /api/v1/categories/{code}/conditions": "read",
    "GET /api/v1/categories/suggestions": "report",
    "GET /api/v1/channels": OPEN,
    "POST /api/v1/incidents": "report",
    "GET /api/v1/incidents": "read",
    "GET /api/v1/incidents/queues": "console",
    "GET /api/v1/incidents/{number}": "read",
    "GET /api/v1/incidents/{number}/history": "read",
    "POST /api/v1/incidents/{number}/moves": "move",
    "POST /api/v1/incidents/{number}/place": "fix_place",
    "POST /api/v1/incidents/{number}/evidence": "move",
    "GET /api/v1/incidents/{number}/evidence/{evidence_id}": "read",
    "GET /api/v1/incidents/{number}/evidence/{evidence_id}/metadata": "console",
    "GET /api/v1/incidents/{number}/reporters": "see_reporter",
    "POST /api/v1/incidents/{number}/reporters": "see_reporter",
    "GET /api/v1/callers": "see_reporter",
    "GET /api/v1/personal-reads": "administer",
    "GET /api/v1/live": "console",
    "GET /api/v1/accounts": "administer",
    "POST /api/v1/accounts": "administer",
    "PATCH /api/v1/accounts/{username}": "administer",
    "POST /api/v1/accounts/{username}/password": "administer",
    "GET /api/v1/admin/categories": "administer",
    "POST /api/v1/admin/categories": "administer",
    "PATCH /api/v1/admin/categories/{code}": "administer",
    "POST /api/v1/admin/categories/{code}/end": "administer",
    "DELETE /api/v1/admin/categories/{code}/end": "administer",
    "DELETE /api/v1/admin/categories/{code}/planned": "administer",
    "POST /api/v1/admin/categories/{code}/conditions": "administer",
    "PATCH /api/v1/admin/conditions/{code}": "administer",
    "POST /api/v1/admin/conditions/{code}/end": "administer",
    "GET /api/v1/admin/stage-limits": "administer",
    "PUT /api/v1/admin/stage-limits": "administer",
    "GET /api/v1/admin/chase-rules": "administer",
    "PUT /api/v1/admin/chase-rules": "administer",
    "GET /api/v1/admin/calendar/{year}": "administer",
    "PUT /api/v1/admin/calendar/{year}": "administer",
    "PUT /api/v1/admin/calendar/days/{day}": "administer",
    "DELETE /api/v1/admin/calendar/days/{day}": "administer",
    "GET /api/v1/admin/changes": "administer",
    "GET /api/v1/admin/channels": "administer",
    "PATCH /api/v1/admin/channels/{code}": "administer",
    "GET /api/v1/admin/people": "administer",
    "POST /api/v1/admin/people": "administer",
    "GET /api/v1/admin/people/{staff_no}": "administer",
    "PATCH /api/v1/admin/people/{staff_no}": "administer",
    "GET /api/v1/admin/people/{staff_no}/leaving": "administer",
    "POST /api/v1/admin/people/{staff_no}/end": "administer",
    "DELETE /api/v1/admin/people/{staff_no}/end": "administer",
    "GET /api/v1/admin/posts": "administer",
    "GET /api/v1/admin/posts/{code}/{post}": "administer",
    "PUT /api/v1/admin/posts/{code}/{post}": "administer",
    "DELETE /api/v1/admin/posts/{code}/{post}/planned": "administer",
    "GET /api/v1/admin/units": "administer",
    "POST /api/v1/admin/units": "administer",
    "PUT /api/v1/admin/units/{unit_id}": "administer",
    "GET /api/v1/admin/imports": "administer",
    "POST /api/v1/admin/imports": "administer",
    "GET /api/v1/admin/imports/kinds": "administer",
    "PUT /api/v1/admin/imports/files": "administer",
    "GET /api/v1/admin/imports/{run_id}": "administer",
    "POST /api/v1/admin/imports/{run_id}/publish": "administer",
    "GET /api/v1/admin/imports/{run_id}/refused.csv": "administer",
    "GET /api/v1/admin/imports/{run_id}/faults.geojson": "administer",
    "GET /api/v1/admin/base-maps": "administer",
    "POST /api/v1/admin/base-maps": "administer",
    "PUT /api/v1/admin/base-maps/order": "administer",
    "PATCH /api/v1/admin/base-maps/{map_id}": "administer",
    "DELETE /api/v1/admin/base-maps/{map_id}": "administer",
    "GET /api/v1/me": SIGNED_IN,
    "POST /api/v1/me/password": SIGNED_IN,
    "GET /api/v1/me/tasks": SIGNED_IN,
    "GET /api/v1/me/tokens": SIGNED_IN,
    "POST /api/v1/me/tokens": SIGNED_IN,
    "DELETE /api/v1/me/tokens/{token_id}": SIGNED_IN,
    "GET /api/v1/grids": "read",
    "GET /api/v1/grids.geojson": "read",
    "GET /api/v1/segments.geojson": "read",
    "POST /api/v1/grids/changes": "edit_grids",
    "GET /api/v1/grids/{code}/crew": "see_people",
    "POST /api/v1/grids/{code}/areas": "edit_grids",
    "DELETE /api/v1/grids/areas/{area_id}": "edit_grids",
    "GET /api/v1/grids/areas": SIGNED_IN,
    "GET /api/v1/grids/territory.geojson": SIGNED_IN,
    "GET /api/v1/queues/place_needed": "fix_place",
    "POST /api/v1/queues/place_needed/{number}": "fix_place",
    "GET /api/v1/places/learned": "fix_place",
    "DELETE /api/v1/places/learned/{learned_id}": "fix_place",
    "GET /api/v1/places/default-points": "fix_place",
    "POST /api/v1/places/default-points": "edit_grids",
    "DELETE /api/v1/places/default-points/{point_id}": "edit_grids",
    "GET /api/v1/crs": "export",
    "GET /exports/dictionary.json": "export",
    "GET /exports/dictionary.csv": "export",
    "GET /exports/jobs": "export",
    "POST /exports/jobs": "export",
    "GET /exports/jobs/{job_id}": "export",
    "DELETE /exports/jobs/{job_id}": "export",
    "GET /exports/jobs/{job_id}/file": "export",
    "GET /exports/{name}": "export",
    "GET /api/v1/me/notices": SIGNED_IN,
    "POST /api/v1/me/notices/seen": SIGNED_IN,
    "GET /api/v1/me/notice-wishes": SIGNED_IN,
    "PUT /api/v1/me/notice-wishes": SIGNED_IN,
    "GET /api/v1/push/key": SIGNED_IN,
    "POST /api/v1/push/subscriptions": SIGNED_IN,
    "POST /api/v1/push/unsubscribe": SIGNED_IN,
    "GET /api/v1/notices": "see_deliveries",
    "POST /api/v1/notices/{delivery}/send-again": "see_deliveries",
    "GET /api/v1/admin/leave": "administer",
    "POST /api/v1/admin/leave": "administer",
    "DELETE /api/v1/admin/leave/{leave_id}": "administer",
    "GET /api/v1/admin/shifts": "administer",
    "PUT /api/v1/admin/people/{staff_no}/shift": "administer",
    "GET /api/v1/contacts": "manage_sending",
    "POST /api/v1/contacts": "manage_sending",
    "DELETE /api/v1/contacts/{contact}": "manage_sending",
    "GET /api/v1/webhooks": "manage_sending",
    "POST /api/v1/webhooks": "manage_sending",
    "PATCH /api/v1/webhooks/{webhook}": "manage_sending",
    "DELETE /api/v1/webhooks/{webhook}": "manage_sending",
    "POST /api/v1/webhooks/{webhook}/secret": "manage_sending",
    "GET /api/v1/webhooks/{webhook}/deliveries": "manage_sending",
    "GET /api/v1/templates": "manage_sending",
    "PUT /api/v1/templates": "manage_sending",
    "DELETE /api/v1/templates/{template}": "manage_sending",
    "POST /api/v1/templates/preview": "manage_sending",
    "GET /api/v1/duplicates": "report",
    "GET /api/v1/incidents/{number}/duplicates": "read",
    "POST /api/v1/incidents/{number}/merge": "move",
    "GET /tiles/{layer}/{z}/{x}/{y}.mvt": "read",
    "GET /exports/gridward.qgz": "read",
    "POST /exports/gridward.qgz": "read",
}
PAGES: dict[str, str] = {
    "/exports": "export",
    "/maps/{name}": "console",
    "/maps": "console",
    "/evaluation": "evaluate",
    "/evaluation/cases": "evaluate",
    "/evaluation.csv": "evaluate",
    "/": OPEN,
    "/login": OPEN,
    "/logout": OPEN,
    "/login/elsewhere": OPEN,
    "/login/elsewhere/back": OPEN,
    "/report": OPEN,
    "/report/streets.geojson": OPEN,
    "/report/suggestions.json": OPEN,
    "/report/near.json": OPEN,
    "/track": OPEN,
    "/track/{number}": OPEN,
    "/track/{number}/photo/{evidence}": OPEN,
    "/field/sw.js": OPEN,
    "/field/manifest.webmanifest": OPEN,
    "/account": SIGNED_IN,
    "/console": "console",
    "/console/grids": "console",
    "/console/handover": "console",
    "/console/replies": "edit_replies",
    "/console/incidents/{number}": "console",
    "/field": "field",
    "/admin": "administer",
    "/admin/rules": "administer",
    "/admin/people": "administer",
    "/admin/sending": "manage_sending",
    "/admin/imports": "administer",
    "/admin/basemaps": "administer",
}
# Residents report without an account, by the channels that are open to all.
ALSO_NOBODY = {"POST /api/v1/incidents"}
# Answers that never end: asked only by those who must be refused.
ENDLESS = {"GET /api/v1/live"}


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def description(desk: Office) -> dict[str, Any]:
    described: dict[str, Any] = desk.client.get("/api/v1/openapi.json").json()
    return described


def test_no_route_was_forgotten(description: dict[str, Any]) -> None:
    there = {f"{m.upper()} {path}" for path, ways in description["paths"].items() for m in ways}
    assert there == set(JSON_ROUTES)
    paths = {route.path for router in page_routers for route in router.routes}
    pages = {path for path in paths if not path.startswith("/api/")}
    assert pages == set(PAGES)
    named = {*JSON_ROUTES.values(), *PAGES.values()}
    assert named <= {OPEN, SIGNED_IN, *PERMISSIONS}


@pytest.fixture(scope="module")
def sessions(desk: Office) -> dict[str, dict[str, str]]:
    """Each role's session as its browser sends it: the cookie, and the page's CSRF value for what changes something."""
    found = {}
    with desk.services.sessions() as session:
        for role in ROLES:
            made = auth.sign_in(session, name_of(role), SAMPLE_PASSWORD, datetime.now(UTC))
            assert made is not None, role
            secret, account = made
            found[role] = {"Cookie": f"{SESSION_COOKIE}={secret}", "X-CSRF-Token": account.csrf}
        session.commit()
    return found


def headers_of(
    desk: Office, sessions: dict[str, dict[str, str]], by: str, role: str | None
) -> dict[str, str]:
    """How somebody shows who they are: by a program's token or by a browser's session."""
    desk.client.cookies.clear()
    if role is None:
        return {}
    if by == "session":
        return sessions[role]
    return {"Authorization": f"Bearer {desk.token(name_of(role))}"}


@pytest.mark.parametrize("by", ["token", "session"])
def test_each_route_lets_in_who_may_and_refuses_who_may_not(
    desk: Office, description: dict[str, Any], sessions: dict[str, dict[str, str]], by: str
) -> None:
    wrong, lines = [], []
    for route, wanted in sorted(JSON_ROUTES.items()):
        method, path = route.split()
        if path == "/api/v1/token":
            continue  # answers 401 to a wrong password: that is its work
        shape = description["paths"][path][method.lower()]
        row = []
        for role in (None, *ROLES):
            public = role is None and route in ALSO_NOBODY
            expected = "in" if public else expected_of(wanted, role)
            row.append("+" if expected == "in" else "-")
            if route in ENDLESS and expected == "in":
                continue
            headers = headers_of(desk, sessions, by, role)
            found = verdict(send(desk, description, method, path, shape, headers))
            if found != expected:
                wrong.append((route, role, expected, found))
        lines.append(f"{route:60} {' '.join(row)}")
    print(f"routes by roles, each by its {by}:", "nobody", *ROLES)
    print("\n".join(lines))
    assert wrong == []


def test_a_token_that_was_given_nothing_opens_nothing(
    desk: Office, description: dict[str, Any]
) -> None:
    made = desk.post("admin", "/me/tokens", {"name": "nothing", "scopes": []}).json()
    headers = {"Authorization": f"Bearer {made['access_token']}"}
    wrong = []
    for route, wanted in sorted(JSON_ROUTES.items()):
        method, path = route.split()
        if wanted in (OPEN, SIGNED_IN):
            continue
        shape = description["paths"][path][method.lower()]
        answer = send(desk, description, method, path, shape, headers)
        if verdict(answer) != "refused":
            wrong.append((route, answer.status_code))
    assert wrong == []


def test_a_session_changes_nothing_without_its_pages_own_value(
    desk: Office, description: dict[str, Any], sessions: dict[str, dict[str, str]]
) -> None:
    """What another site's page could make a browser send: the cookie, and no value or a wrong one (CSRF)."""
    wrong = []
    for route, wanted in sorted(JSON_ROUTES.items()):
        method, path = route.split()
        if method == "GET" or wanted == OPEN:
            continue
        role = next(role for role in ROLES if wanted == SIGNED_IN or may(role, wanted))
        shape = description["paths"][path][method.lower()]
        for value in ({}, {"X-CSRF-Token": "x"}):
            desk.client.cookies.clear()
            headers = {"Cookie": sessions[role]["Cookie"], **value}
            answer = send(desk, description, method, path, shape, headers)
            if (answer.status_code, answer.json().get("code")) != (403, "auth.csrf"):
                wrong.append((route, role, answer.status_code))
    assert wrong == []


# Roles that see a part of the town, and somebody of each whom the incident below is no business of.
STRANGERS = {
    **{role: role for role in ("officer", "gardener", "maintainer")},
    "unit_head": "far_head",
    "leader": "far_leader",
}


@pytest.fixture(scope="module")
def others(desk: Office) -> str:
    """The number of an incident with a photograph, in the hands of the cleaner."""
    place = spot_of(desk.services, "cleaner")
    category = category_of(desk.services, "cleaner")
    number = report_at(desk.services, place, "别人的案件", category)
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG")
    files = {"photo": ("a.jpg", out.getvalue(), "image/jpeg")}
    assert desk.ask("cleaner", "POST", f"/incidents/{number}/evidence", files=files).is_success
    with desk.services.sessions() as session:
        unit = session.scalar(text("insert into unit (name) values ('远处的班') returning id"))
        for role in ("unit_head", "leader"):
            staff = session.scalar(
                text(
                    "insert into staff (staff_no, name, post, unit_id, heads_unit)"
                    " values (:no, '远', :post, :unit, :heads) returning id"
                ),
                {"no": f"far-{role}", "post": "leader" if role == "leader" else "officer",
                 "unit": unit, "heads": role == "unit_head"},
            )  # fmt: skip
            auth.save_account(session, STRANGERS[role], SAMPLE_PASSWORD, "远", role, staff)
        session.commit()
    return number


def test_nobody_reads_or_moves_an_incident_that_is_not_theirs(
    desk: Office, description: dict[str, Any], others: str
) -> None:
    """Every address with a number in it, asked by each role that sees only a part: as if it were not there."""
    before = desk.get("dispatcher", f"/incidents/{others}/history").json()
    evidence = desk.get("cleaner", f"/incidents/{others}").json()["evidence"][0]["id"]
    asked, wrong = 0, []
    routes = [tuple(route.split()) for route in JSON_ROUTES if "{number}" in route]
    routes += [("GET", path) for path in PAGES if "{number}" in path and PAGES[path] != OPEN]
    for method, path in sorted(routes):
        wanted = JSON_ROUTES.get(f"{method} {path}") or PAGES[path]
        shape = description["paths"].get(path, {}).get(method.lower(), {})
        address = path.replace("{number}", others).replace("{evidence_id}", str(evidence))
        if method == "GET" and wanted != "see_reporter":
            mine = send(desk, description, method, address, shape, bearer(desk, "dispatcher"))
            assert mine.status_code == 200, (path, mine.text)
        for role, name in STRANGERS.items():
            if not may(role, wanted):
                continue
            asked += 1
            answer = send(desk, description, method, address, shape, bearer(desk, name))
            if answer.status_code not in (403, 404) or "别人的案件" in answer.text:
                wrong.append((method, path, role, answer.status_code))
    many = {"numbers": [others], "move": "note", "note": "x"}
    for role, name in STRANGERS.items():
        if may(role, "move"):
            answer = desk.post(name, "/incidents/moves", many)
            if "别人的案件" in answer.text or (answer.is_success and answer.json()["done"]):
                wrong.append(("POST", "/incidents/moves", role, answer.status_code))
    assert wrong == []
    assert asked >= 30, "the walk has lost its routes"
    assert desk.get("dispatcher", f"/incidents/{others}/history").json() == before


def bearer(desk: Office, name: str) -> dict[str, str]:
    return {"Accept": "application/json, text/html", "Authorization": f"Bearer {desk.token(name)}"}


@pytest.mark.parametrize("path", sorted(PAGES))
def test_each_page_opens_for_whom_it_is_made(
    desk: Office, sessions: dict[str, dict[str, str]], path: str
) -> None:
    wanted = PAGES[path]
    address = path.replace("{number}", NOBODY).replace("{name}", "ownership")
    if wanted == OPEN:
        return
    desk.client.cookies.clear()
    stranger = desk.client.get(address, headers={"Accept": "text/html"}, follow_redirects=False)
    assert stranger.status_code == 303, "a stranger is led to the sign-in"
    for role, by in product(ROLES, ("token", "session")):
        headers = {"Accept": "text/html", **headers_of(desk, sessions, by, role)}
        answer = desk.client.get(address, headers=headers, follow_redirects=False)
        refused = answer.status_code == 403
        assert refused == (wanted != SIGNED_IN and not may(role, wanted)), (path, role, by)


def expected_of(wanted: str, role: str | None) -> str:
    if wanted == OPEN:
        return "in"
    if role is None:
        return "out"
    return "in" if wanted == SIGNED_IN or may(role, wanted) else "refused"


def verdict(answer: httpx.Response) -> str:
    """`out` for 401, `refused` for want of a permission, else `in`: let in, whatever came of it there."""
    if answer.status_code == 401:
        return "out"
    json = answer.headers.get("content-type", "").endswith("json")
    refused = json and answer.status_code == 403 and answer.json()["code"] == "auth.not_permitted"
    assert answer.status_code < 500, answer.text
    return "refused" if refused else "in"


def name_of(role: str) -> str:
    return "admin" if role == "administrator" else role


def send(
    desk: Office,
    description: dict[str, Any],
    method: str,
    path: str,
    shape: Any,
    headers: dict[str, str],
) -> httpx.Response:
    """A request that is well formed and names nothing that exists."""
    address, query = path, {}
    for parameter in shape.get("parameters", ()):
        if parameter["in"] == "path":
            value = example(description, parameter["schema"], NOBODY)
            address = address.replace("{" + parameter["name"] + "}", str(value))
        elif parameter["in"] == "query" and parameter.get("required"):
            query[parameter["name"]] = example(description, parameter["schema"], "138000000")
    options: dict[str, Any] = {"params": query, "headers": headers}
    content = shape.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        options["json"] = example(description, content["application/json"]["schema"], "x")
    elif "multipart/form-data" in content:
        options["files"] = {"photo": ("x.jpg", b"x")}
    elif content:
        options["data"] = {"username": "nobody", "password": "x"}
    answer: httpx.Response = desk.client.request(method, address, **options)
    return answer


def example(description: dict[str, Any], schema: dict[str, Any], text: str) -> Any:
    """The smallest value that a schema takes."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return example(description, description["components"]["schemas"][name], text)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example(description, schema[several][0], text)
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", ())
        return {n: example(description, schema["properties"][n], text) for n in wanted}
    if kind == "array":
        least = schema.get("minItems", 0)
        return [example(description, schema["items"], text)] * least
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 0), 0)
    if kind == "boolean":
        return False
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    return text * max(1, schema.get("minLength", 1) // len(text))
