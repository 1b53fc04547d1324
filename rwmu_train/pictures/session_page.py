"""A session of collecting on one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.page_parts import PAGE_STYLE, number_lines, picture_section
from rwmu_train.sessions.session_facts import SessionFacts

_SHOWN_EVENTS = 500
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<h1>$title</h1>
<p class="quiet">$about</p>
<table>$summary</table>
$pictures
<h2>Every intervention, and why</h2>
<p>$left_out</p>
<table class="numbers">$events</table>
</body>
</html>
""")


def session_page(facts: SessionFacts, pictures: Sequence[Picture]) -> bytes:
    """The page."""
    about = facts.about
    told = [event for event in facts.events if event.kind not in ("walk", "home")]
    shown = told[-_SHOWN_EVENTS:]
    lines = [[f"{event.t_s / 60.0:.2f}", event.kind, event.detail] for event in shown]
    left_out = len(told) - len(shown)
    return _PAGE.substitute(
        style=PAGE_STYLE,
        title=escape(f"Session of {about['robot']}"),
        about=escape(
            f"{facts.folder}; {about['source']}; bundle {about['bundle']}, "
            f"SHA-256 {about['bundle_sha256']}"
        ),
        summary="\n".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in summary_lines(facts)
        ),
        pictures="\n".join(picture_section(picture) for picture in pictures),
        left_out=f"{left_out} earlier ones are in events_*.csv." if left_out else "",
        events=number_lines(["minute", "what", "why"], lines),
    ).encode()


def summary_lines(facts: SessionFacts) -> list[tuple[str, str]]:
    """Names and values, in words."""
    progress, mode_s = facts.progress, facts.mode_s
    asked_s = float(progress["longest_s"])
    out_m = facts.deepest_out_m
    if out_m is None:
        inside = "not known"
    elif out_m < 0.0:
        inside = f"never nearer to the edge than {-out_m:.2f} m"
    else:
        inside = f"{out_m:.2f} m beyond the edge"
    return [
        ("walked", f"{progress['walked_s'] / 60.0:.1f} of {asked_s / 60.0:.1f} min"),
        ("way", f"{progress['way_m']:.0f} m"),
        ("rows", f"{progress['rows']:,}, {progress['dropped']:,} dropped"),
        ("starts of the program", str(progress["starts"])),
        ("coverage", f"{progress['coverage']:.3f} (1: every command equally long)"),
        ("fence, by odometry", inside),
        ("damped", str(sum(event.kind == "damped" for event in facts.events))),
        ("minutes by what it did", ", ".join(f"{k} {v / 60.0:.1f}" for k, v in mode_s.items())),
        ("so far", ", ".join(f"{k} {v}" for k, v in sorted(progress["events"].items()))),
        ("lines that were torn", str(facts.torn_lines)),
    ]
