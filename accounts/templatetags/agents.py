"""A browser in a person's words."""

from django import template
from django.utils.translation import gettext as _

register = template.Library()

# The first that is found counts: every browser also claims to be those further down.
PROGRAMS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
LONGEST = 40


@register.filter
def agent(text: str) -> str:
    """`Firefox on Windows` for what that browser calls itself; a program's own name as it is; unnamed ones say so."""
    program = next((name for mark, name in PROGRAMS.items() if mark in text), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in text), "")
    if program and system:
        return _("%(program)s on %(system)s") % {"program": program, "system": system}
    return text[:LONGEST] or _("A program without a name")
