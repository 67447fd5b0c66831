"""Text of strangers never becomes mark-up on a map."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from maps.page import Mark, render, town_map
from maps.popups import popup_html

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>`${alert(1)}`"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    return tags


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\x00")))
def test_any_text_is_shown_as_it_is_and_adds_no_tag(text: str) -> None:
    tags = parsed(popup_html(text, [("", text)], note=text or None))
    assert set(tags.seen) <= {"div", "h3", "dl", "dt", "dd", "p"}
    assert tags.attributes == [("class", "bubble")]
    assert tags.text == text * 3


@given(st.text())
def test_nothing_can_leave_a_script_template_literal(text: str) -> None:
    assert not set("`$\\{}") & set(popup_html(text))


def test_empty_rows_are_left_out() -> None:
    assert "<dt>Post" not in popup_html("a", [("Post", ""), ("Grid", "G1")])


def test_an_attack_in_a_bubble_stays_inside_its_string() -> None:
    pieces = render(town_map(mark=Mark(115.0, 30.0, ATTACK, (("x", ATTACK),))), nonce="n0")
    assert pieces.script.count("<script") == 1
    assert pieces.script.count("</script>") == 1
    assert "<img" not in pieces.script


def test_every_inline_script_and_style_carries_the_nonce() -> None:
    pieces = render(town_map(clustered=True), nonce="n0")
    for opening in ("<script>", "<style>"):
        assert opening not in pieces.header + pieces.script
    assert "style=" not in pieces.html
