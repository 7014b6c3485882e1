"""Shapes of access keys, which no reply may carry whatever a document or a model says."""

import re

MASK = "[secret]"

# Each is anchored on a published prefix or structure, so that ordinary words and hashes are left alone.
_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*",  # the rest of its line; StreamCleaner drops the lines after it
    r"(?:AKIA|ASIA|AGPA|AROA|AIDA)[0-9A-Z]{16}(?![0-9A-Za-z])",  # AWS key id
    r"gh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{40,}",
    r"glpat-[\w-]{20,}",  # GitLab
    r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,}",  # Slack tokens
    r"xapp-\d-[\w-]{10,}",
    r"T[0-9A-Z]{7,}/B[0-9A-Z]{7,}/\w{16,}",  # the secret part of a Slack webhook's address
    r"\d{8,10}:[A-Za-z0-9_-]{35}(?![\w-])",  # Telegram bot
    r"eyJ[\w-]{8,4000}+\.eyJ[\w-]{8,}\.[\w-]{8,}",  # JWT; without an end to its first part, -eyJ-eyJ… is quadratic
    r"sk-(?=[\w-]{0,60}\d)[\w-]{20,}",  # OpenAI and those who followed
    r"AIza[\w-]{35}",  # Google
    r"(?:sk|rk)_live_[A-Za-z0-9]{16,}",  # Stripe
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[\w-]{50,}",
)
_SECRET = re.compile("|".join(rf"(?<![A-Za-z0-9]){shape}" for shape in _SHAPES))
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^\s:/@]+):([^\s:/@\[]+)@")
_NAMED = re.compile(r"(?i)(\b(?:aws_)?secret_access_key[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])")


def secret_spans(text: str) -> list[tuple[int, int]]:
    """Where in `text` each key-shaped stretch begins and ends; they may overlap."""
    named = [(found.end(1), found.end()) for found in _NAMED.finditer(text)]
    return (
        [found.span() for found in _SECRET.finditer(text)]
        + named
        + [found.span(2) for found in _PASSWORD_IN_URL.finditer(text)]
    )


def mask_secrets(line: str) -> str:
    """`line` with every key-shaped stretch replaced by MASK."""
    line = _SECRET.sub(MASK, line)
    line = _NAMED.sub(rf"\g<1>{MASK}", line)
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", line)
