"""Pictures as SVG, made of what a creative's tags say: nobody's artwork.

A picture is a ground (the title's colours, made warm or dark where the tags say so), a motif for
each of up to two tags, and the title. Every number comes from the title and the tags, so the same
picture is drawn alike on every machine. Sizes are in units of a view of 640 to 360.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import escape

from simulations.website.titles import Picture

WIDTH, HEIGHT = 640, 360
_SKIN = ("#f2c9a1", "#8d5a3b", "#e0a97c", "#5b3a29", "#f7dcc4")
_INK = "#141221"

Draw = Callable[[Random, str], str]
"""A motif from luck and the title's accent colour."""


def drawn(picture: Picture) -> str:
    """The picture as an SVG document."""
    random = Random(f"{picture.title} {' '.join(picture.tags)}")
    hue = Random(picture.title).randrange(360)
    accent = f"hsl({(hue + 150) % 360} 85% 62%)"
    absorbed = {small for small, large in ABSORBED if {small, large} <= {*picture.tags}}
    tags = [tag for tag in MOTIFS if tag in picture.tags and tag not in absorbed]
    motifs = [MOTIFS[tag] for tag in tags] or [_lantern]
    if "close-up" in absorbed:
        motifs = [_nearer(draw) for draw in motifs]
    parts = [_ground(hue, picture.tags), *(draw(random, accent) for draw in motifs[:2])]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}">{"".join(parts)}{_name(picture.name)}</svg>'
    )


def _ground(hue: int, tags: tuple[str, ...]) -> str:
    top, bottom = f"hsl({hue} 45% 34%)", f"hsl({(hue + 40) % 360} 55% 18%)"
    if "warm" in tags:
        top, bottom = "#f7b267", "#b23a48"
    elif "dark" in tags or "mystery" in tags:
        top, bottom = "#232042", "#07060f"
    elif "laughing" in tags or "joke" in tags or "child" in tags:
        top, bottom = f"hsl({hue} 75% 66%)", f"hsl({(hue + 50) % 360} 70% 48%)"
    return (
        '<defs><linearGradient id="g" x2="0" y2="1">'
        f'<stop stop-color="{top}"/><stop offset="1" stop-color="{bottom}"/>'
        '</linearGradient><linearGradient id="n" x2="0" y2="1"><stop stop-opacity="0"/>'
        '<stop offset="1" stop-opacity=".75"/></linearGradient></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#g)"/>'
    )


def _name(name: str) -> str:
    return (
        f'<rect y="250" width="{WIDTH}" height="110" fill="url(#n)"/>'
        '<text x="28" y="332" font-family="Georgia,serif" font-size="40" font-weight="700" '
        f'fill="#fff" letter-spacing="1">{escape(name)}</text>'
    )


def _person(x: float, y: float, size: float, skin: str, coat: str, face: str = "") -> str:
    """Head and shoulders; ``face`` is drawn around the middle of the head."""
    return (
        f'<g transform="translate({x:.0f} {y:.0f}) scale({size:.2f})">'
        f'<path d="M-70 150q0-80 70-80t70 80z" fill="{coat}"/>'
        f'<circle r="46" fill="{skin}"/><path d="M-46-4a46 46 0 0 1 92 0q-46-34-92 0" '
        f'fill="{_INK}"/>{face}</g>'
    )


def _smile() -> str:
    return (
        f'<g fill="{_INK}"><circle cx="-16" cy="2" r="5"/><circle cx="16" cy="2" r="5"/></g>'
        '<path d="M-22 14h44a22 22 0 0 1-44 0z" fill="#fff"/>'
    )


def _calm() -> str:
    return (
        f'<g stroke="{_INK}" stroke-width="5" fill="none" stroke-linecap="round">'
        '<path d="M-26 4q8 8 16 0M10 4q8 8 16 0M-12 22q12 12 24 0"/></g>'
    )


def _couple(random: Random, accent: str) -> str:
    one, other = random.sample(_SKIN, 2)
    return (
        f'<circle cx="320" cy="150" r="112" fill="{accent}" opacity=".55"/>'
        f"{_person(262, 168, 1.15, one, '#2b2d42', _calm())}"
        f"{_person(378, 168, 1.15, other, '#7d1538', _calm())}"
        '<path d="M320 96c-16-22-50-10-42 16 6 20 30 32 42 44 12-12 36-24 42-44 8-26-26-38-42-16z" '
        'fill="#ff4d6d"/>'
    )


def _laughing(random: Random, accent: str) -> str:
    skin = random.choice(_SKIN)
    return (
        f'<g stroke="{accent}" stroke-width="9" stroke-linecap="round">'
        + "".join(
            f'<path d="M{320 + 130 * math.cos(a):.0f} {160 + 130 * math.sin(a):.0f}'
            f'L{320 + 160 * math.cos(a):.0f} {160 + 160 * math.sin(a):.0f}"/>'
            for a in (math.tau * n / 14 for n in range(14))
        )
        + f"</g>{_person(320, 160, 1.7, skin, '#264653', _smile())}"
    )


def _nearer(draw: Draw) -> Draw:
    """The motif seen from close by."""
    return lambda random, accent: (
        '<g transform="translate(320 150) scale(1.7) translate(-320 -160)">'
        f"{draw(random, accent)}</g>"
    )


def _group(random: Random, _accent: str) -> str:
    return "".join(
        _person(
            110 + 140 * n,
            190 + random.randrange(-18, 18),
            0.85,
            random.choice(_SKIN),
            f"hsl({random.randrange(360)} 50% 40%)",
            _smile(),
        )
        for n in range(4)
    )


def _chase(random: Random, accent: str) -> str:
    lines = "".join(
        f'<path d="M{random.randrange(-60, 320)} {y}h{random.randrange(140, 330)}"/>'
        for y in range(40, 250, 22)
    )
    return (
        f'<g stroke="{accent}" stroke-width="6" opacity=".6" transform="skewY(-7)">{lines}</g>'
        f'<g transform="translate(400 165) rotate(12)" stroke="{_INK}" stroke-width="22" '
        'stroke-linecap="round" stroke-linejoin="round" fill="none">'
        '<path d="M0-18L-14 48M-14 48l52 30 8 50M-14 48l-44 34-46-8M0-8l48 24 34-22M0-8l-44 14'
        f'-18 38"/><circle cx="10" cy="-54" r="16" fill="{_INK}"/></g>'
    )


def _explosion(random: Random, _accent: str) -> str:
    def burst(radius: float, spikes: int, fill: str) -> str:
        points = " ".join(
            f"{320 + r * math.cos(a):.0f},{150 + r * math.sin(a) * 0.8:.0f}"
            for n in range(2 * spikes)
            for a in (math.pi * n / spikes,)
            for r in (radius * (random.uniform(0.85, 1.15) if n % 2 else 0.55),)
        )
        return f'<polygon points="{points}" fill="{fill}"/>'

    debris = "".join(
        f'<rect x="{random.randrange(40, 600)}" y="{random.randrange(20, 250)}" width="14" '
        f'height="9" fill="{_INK}" transform="rotate({random.randrange(60)} 320 180)"/>'
        for _ in range(16)
    )
    return burst(210, 14, "#e63946") + burst(150, 12, "#ff9f1c") + burst(90, 10, "#fff3b0") + debris


def _close_up(random: Random, accent: str) -> str:
    skin = random.choice(_SKIN)
    return (
        f'<ellipse cx="320" cy="150" rx="250" ry="230" fill="{skin}"/>'
        '<path d="M150 150q170-130 340 0q-170 110-340 0z" fill="#fff"/>'
        f'<circle cx="320" cy="146" r="60" fill="{accent}"/>'
        f'<circle cx="320" cy="146" r="30" fill="{_INK}"/>'
        '<circle cx="340" cy="128" r="11" fill="#fff"/>'
        f'<path d="M140 104q180-120 360 0" stroke="{_INK}" stroke-width="20" fill="none"/>'
    )


def _dark(random: Random, _accent: str) -> str:
    stars = "".join(
        f'<circle cx="{random.randrange(640)}" cy="{random.randrange(200)}" r="1.6"/>'
        for _ in range(50)
    )
    return (
        f'<g fill="#fff" opacity=".8">{stars}</g><circle cx="520" cy="84" r="44" fill="#f4f1de"/>'
        '<circle cx="538" cy="72" r="40" fill="#232042"/>'
        f'<path d="M0 300l90-120 70 70 80-110 110 130 90-80 200 110v80H0z" fill="#05040b"/>'
    )


def _mystery(_random: Random, accent: str) -> str:
    return (
        '<path d="M270 60h120v240H270z" fill="#0b0a14"/><path d="M290 300V74l74 24v226z" '
        f'fill="#3d2c2e"/><path d="M364 98l26-38v240l-26 24z" fill="{accent}" opacity=".9"/>'
        f'<path d="M364 324L640 360H380z" fill="{accent}" opacity=".35"/>'
        '<circle cx="350" cy="206" r="6" fill="#e9c46a"/>'
    )


def _question(_random: Random, accent: str) -> str:
    return (
        '<text x="320" y="250" text-anchor="middle" font-family="Georgia,serif" font-size="260" '
        f'font-weight="700" fill="{accent}" opacity=".85">?</text>'
    )


def _joke(random: Random, _accent: str) -> str:
    return "".join(
        f'<rect x="{random.randrange(640)}" y="{random.randrange(250)}" width="16" height="8" '
        f'fill="hsl({random.randrange(360)} 90% 65%)" '
        f'transform="rotate({random.randrange(-40, 40)} 320 150)"/>'
        for _ in range(60)
    )


def _child(random: Random, accent: str) -> str:
    balloon = (
        f'<path d="M470 190q-20-40 0-80" stroke="{_INK}" stroke-width="3" fill="none"/>'
        f'<ellipse cx="470" cy="76" rx="38" ry="46" fill="{accent}"/>'
    )
    children = "".join(
        _person(180 + 130 * n, 215, 0.7, random.choice(_SKIN), coat, _smile())
        for n, coat in enumerate(("#ef476f", "#ffd166", "#06d6a0"))
    )
    return balloon + children


def _animal(random: Random, accent: str) -> str:
    fur = random.choice(("#c58c5c", "#e8d5b7", "#6b4f3a"))
    return (
        f'<g transform="translate(320 160)"><path d="M-78-50q-66 10-54 108 44 6 60-40z" '
        'fill="#4b382a"/><path d="M78-50q66 10 54 108-44 6-60-40z" fill="#4b382a"/>'
        f'<ellipse rx="96" ry="104" fill="{fur}"/><ellipse cy="48" rx="52" ry="42" fill="#fff4e0"/>'
        f'<g fill="{_INK}"><circle cx="-36" cy="-14" r="11"/><circle cx="36" cy="-14" r="11"/>'
        '<ellipse cy="28" rx="20" ry="14"/></g><path d="M0 42v20m0 0q-18 18-30 4m30-4q18 18 30 4" '
        f'stroke="{_INK}" stroke-width="6" fill="none" stroke-linecap="round"/>'
        f'<path d="M-62-86q62-56 124 0z" fill="{accent}"/></g>'
    )


def _landscape(random: Random, accent: str) -> str:
    far, near = random.randrange(120, 160), random.randrange(190, 215)
    return (
        f'<circle cx="470" cy="110" r="54" fill="{accent}"/>'
        f'<path d="M0 {far + 70}q160-{far - 60} 320-30t320-40v360H0z" fill="#2a6f77" opacity=".8"/>'
        f'<path d="M0 {near + 40}q200-70 340 0t300-20v340H0z" fill="#184e57"/>'
    )


def _warm(random: Random, _accent: str) -> str:
    return "".join(
        f'<circle cx="{random.randrange(640)}" cy="{random.randrange(230)}" '
        f'r="{random.randrange(10, 40)}" fill="#ffe8b6" opacity="{random.uniform(0.1, 0.35):.2f}"/>'
        for _ in range(18)
    )


def _lantern(_random: Random, _accent: str) -> str:
    return (
        '<g transform="translate(320 140)" fill="none" stroke="#fff" stroke-width="8" '
        'opacity=".75"><path d="M-34 62v-96q34-40 68 0v96zM-44 62h88M0-64v-26"/>'
        '<path d="M0 30q-20-24 0-52 20 28 0 52z" fill="#ffd166" stroke="none"/></g>'
    )


MOTIFS: Mapping[str, Draw] = MappingProxyType(
    {
        "landscape": _landscape,
        "dark": _dark,
        "warm": _warm,
        "mystery": _mystery,
        "explosion": _explosion,
        "chase": _chase,
        "close-up": _close_up,
        "couple": _couple,
        "laughing": _laughing,
        "group": _group,
        "child": _child,
        "animal": _animal,
        "question": _question,
        "joke": _joke,
    }
)
"""What each tag of the catalog looks like, from the farthest to the nearest; two at most."""
ABSORBED: Final = (("laughing", "group"), ("group", "child"), ("close-up", "laughing"))
"""Pairs of tags of which the second's motif shows both: heads are not drawn over heads."""
