"""Secrets kept out of sight: passwords and tokens in the URIs of a text, wherever it is shown, logged or kept."""

from __future__ import annotations

import re

SECRET_WORDS = r"password|passwd|pwd|secret|token|credential|signature|api_?key|access_?key(?:_?id)?|client_?key|auth|sig"
_PASSWORD = re.compile(r"(://[^\s/:@]*):\S+@")
_TOKEN = re.compile(r"://[^\s/:@]+@")
_FIELD = re.compile(rf"(?i)([?&;#](?:[\w.-]*[_.-])?(?:{SECRET_WORDS})=)[^\s&;#'\"]+")
_SETTING = re.compile(r"(?i)(?<![?&;#\w.-])((?:password|passwd|pwd)\s*=\s*)(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)")
"""As in a connection string: `host=db user=me password=…`."""
_HIDDEN = r"(?!\*\*\*(?:[@\s&;#'\"]|$))"
"""What `redact` writes is no secret."""
_CERTAIN = re.compile(rf"(?i)\w://[^\s/:@?#]*:{_HIDDEN}[^\s/@?#]+@|\w://\S*[?&](?:[\w.-]*[_.-])?(?:{SECRET_WORDS})={_HIDDEN}[^\s&#]")


def redact(text: str) -> str:
    """The text without the passwords and tokens of any URI or connection string in it. Hides too much rather than too little.

    Redacting twice changes nothing more. Of a user without a password nothing is known, so it counts as a token: GitHub's are written so.
    """
    text = _TOKEN.sub("://***@", _PASSWORD.sub(r"\1:***@", text))
    return _SETTING.sub(r"\1***", _FIELD.sub(r"\1***", text))


def holds_secret(text: str) -> bool:
    """Whether a text certainly has a password or token in a URI: `scheme://user:password@…`, `…?token=…`."""
    return _CERTAIN.search(text) is not None
