"""How a page is put together: its files, a template, escaping, a policy that forbids requests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

FILES = Path(__file__).with_name("page_files")


def page_file(name: str) -> str:
    """Return the text of one of page_files/."""
    return (FILES / name).read_text(encoding="utf-8")


def fill_template(template: str, parts: dict[str, str]) -> bytes:
    """Put `parts` where {{name}} stands, in one pass: what is put in is not looked at again."""
    filled = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    return filled.encode("utf-8", "backslashreplace")


def content_policy(style: str, script: str = "") -> str:
    """Return a Content-Security-Policy that forbids every request, and all code but this."""
    digests = {
        kind: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for kind, text in (("style-src", style), ("script-src", script))
        if text
    }
    allowed = "; ".join(f"{kind} 'sha256-{digest}'" for kind, digest in digests.items())
    return f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'"


def json_for_html(value: Any) -> str:
    """Return JSON that no name in it can end the script element around, or break a line of."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII: U+2028 is escaped, too
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
