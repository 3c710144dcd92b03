"""Numbers, times and values as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.web.dashboard import words
from stoker.web.dashboard.fields import json_list, json_text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "\N{EN DASH}"),
        (-1, "0 ms"),
        (0, "0 ms"),
        (0.25, "250 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (3.24, "3.2 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (7380, "2 h 3 min"),
        (86_400, "1 d"),
        (3 * 86_400 + 4 * 3600 + 59, "3 d 4 h"),
        (7 * 86_400, "7 d"),
    ],
)
def test_spans(seconds: float | None, said: str) -> None:
    assert words.span(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "now"),
        (0.9, "now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (86_400, "1 d ago"),
        (-90, "in 1 min"),
    ],
)
def test_relative_times(seconds: float, said: str) -> None:
    now = 1_700_000_000 * SECOND
    assert words.ago(now - int(seconds * SECOND), now) == said
    assert words.ago(to_datetime(now - int(seconds * SECOND)), now) == said


def test_absolute_times() -> None:
    moment = datetime(2026, 11, 28, 13, 55, 2, 123_456, tzinfo=UTC)
    assert words.stamp(moment) == "2026-11-28 13:55:02 UTC"
    assert words.iso(moment) == "2026-11-28T13:55:02.123Z"


@pytest.mark.parametrize(
    ("fraction", "said"), [(0.0, "0 %"), (0.429, "42 %"), (0.999, "99 %"), (0.99999, "99 %"), (1.0, "100 %")]
)
def test_what_is_not_all_is_never_told_as_all(fraction: float, said: str) -> None:
    assert words.percent(fraction) == said


@pytest.mark.parametrize(("fraction", "said"), [(0.0, "0 %"), (0.0001, "0.1 %"), (0.031, "3.1 %"), (0.5, "50 %")])
def test_small_shares(fraction: float, said: str) -> None:
    assert words.share(fraction) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (850, "850"), (1500, "1.5k"), (12_000, "12k"), (2_500_000, "2.5M")]
)
def test_numbers_of_axes(number: int, said: str) -> None:
    assert words.compact(number) == said


def test_calls_are_one_line_however_long() -> None:
    assert words.call(["cat.jpg"], {"width": 80}) == '"cat.jpg", width=80'
    assert words.call([], {}) == ""
    long = words.call(["x\n" * 10_000], {f"name{number}": "y" * 10_000 for number in range(1000)})
    assert len(long) <= 120
    assert "\n" not in long


def test_json_is_marked_by_kind_and_escaped() -> None:
    value = {"<b>": ["</span><script>", 1.5, True, None, '"quoted": 5'], "n": -3}
    html = words.coloured(value)
    assert '<span class="j-key">&#34;&lt;b&gt;&#34;</span>' in html
    assert '<span class="j-text">&#34;&lt;/span&gt;&lt;script&gt;&#34;</span>' in html
    assert '<span class="j-number">1.5</span>' in html
    assert '<span class="j-word">null</span>' in html
    assert "<script" not in html
    plain = html.striptags()
    for part in ("true", "-3", "1.5", "quoted"):
        assert part in plain


def test_a_very_long_document_is_shown_in_part() -> None:
    html = words.coloured(["x" * 100] * 10_000)
    assert len(html) < 3 * words.LONGEST_DOCUMENT
    assert "characters left out" in html


@pytest.mark.parametrize("value", ["https://example.com", "http://example.com/a?b=c#d"])
def test_web_addresses(value: str) -> None:
    assert words.address(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("javascript:alert(1)", "JavaScript:alert(1)", " https://example.com", "https://", "//example.com", "/a", ""),
        *(
            "data:text/html,x",
            "https:javascript",
            "ftp://example.com",
            "https://a b",
            "https://a\nb",
            "http://[",
            5,
            None,
        ),
        "https://" + "x" * 3000,
    ],
)
def test_what_is_no_web_address(value: object) -> None:
    assert words.address(value) is None


def test_lines_of_a_log() -> None:
    text = "2026-11-28T13:55:02.123Z WARNING it is <hot>\n  and goes on\n2026-11-28T13:55:03.000Z INFO fine\n"
    assert words.log_lines(text) == [
        ("13:55:02.123", "warning", "it is <hot>"),
        ("", "", "  and goes on"),
        ("13:55:03.000", "info", "fine"),
    ]


@pytest.mark.parametrize("sign", ['"', "\\"])
def test_a_text_that_was_cut_off_is_one_text(sign: str) -> None:
    """And not as many beginnings of texts as it has quotes, each to be looked for its end."""
    assert words.coloured("a" + sign * 70_000).count("j-text") == 1
    assert words.coloured(["a" + sign * 70_000, 1]).count("j-text") == 1


def test_texts_are_texts_up_to_their_ends() -> None:
    assert words.coloured(['a"b', "c\\", 1]).count("j-text") == 2
    assert words.coloured({'k"ey': "\n"}).count("j-key") == 1


def test_what_is_deep_and_long_is_not_indented() -> None:
    """A megabyte would be gigabytes of spaces."""
    deep: object = list(range(100_000))
    for _ in range(300):
        deep = [deep]
    assert "\n" not in json_text(deep)
    assert json_list(json_text(deep)) == deep
    assert "\n" in json_text([[1] * 100_000])
