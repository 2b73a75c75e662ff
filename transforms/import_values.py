"""What the values of an import's columns mean: languages, dates, years, codes, ids."""

import re
from datetime import date, datetime
from functools import lru_cache

import langcodes

from schemas.codebook import codebook

_ID_CHARACTERS = 512
_WORD_CHARACTERS = 200
_LAST_YEAR = 3000
_CACHED = 65_536
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@lru_cache(maxsize=_CACHED)
def normalise_language(value: str) -> str | None:
    """Return the BCP 47 tag that a word is (``hun``, ``pt_BR``) or names (``German``), or None for neither."""
    word = value.strip()
    if not word or len(word) > _WORD_CHARACTERS:
        return None
    try:
        tag = langcodes.standardize_tag(word.replace("_", "-"))
        known = langcodes.Language.get(tag).is_valid()
    except ValueError:
        known = False
    if not known:
        try:
            tag = langcodes.standardize_tag(langcodes.find(word).to_tag()) if re.search(r"[^\W\d_]{3}", word) else ""
        except (LookupError, ValueError):
            return None
    return tag if re.fullmatch(r"[a-z]{2,3}(-.*)?", tag) else None


def read_year(value: str | None) -> int | None:
    """Return the year that a value is (``2019``, ``2019.0``), from 1 to 3000, or None."""
    found = re.fullmatch(r"([0-9]{1,4})(\.0+)?", value.strip()) if value else None
    year = int(found[1]) if found else 0
    return year if 1 <= year <= _LAST_YEAR else None


def read_date(value: str | None) -> tuple[date | None, int | None]:
    """Return date and year of an ISO date or datetime; only the year of ``2019`` and ``2019-05``; else (None, None)."""
    word = value.strip() if value else ""
    if len(word) > _WORD_CHARACTERS:
        return None, None
    whole = re.fullmatch(r"([0-9]{4})(-(0[1-9]|1[0-2])|\.0+)?", word)
    year = read_year(whole[1]) if whole else None
    if year is not None:
        return None, year
    try:
        day = datetime.fromisoformat(word).date()
    except ValueError:
        return None, None
    return day, day.year


@lru_cache(maxsize=_CACHED)
def code_and_label(book: str, value: str) -> tuple[str, str] | None:
    """Return the code, and its label, that ``value`` is (``12``, ``12.0``) or names in the Codebook, or None."""
    word = value.strip()
    if len(word) > _WORD_CHARACTERS:
        return None
    known = codebook(book)
    whole = re.fullmatch(r"([0-9]+)\.0+", word)
    code = known.code_named(word) or (known.code_named(whole[1]) if whole else None)
    return (code, known.label(code)) if code is not None else None


def wrong_with_id(own: str) -> str:
    """Return what keeps a stripped id from naming a document, or nothing."""
    if len(own) > _ID_CHARACTERS:
        return f"{len(own)} characters, at most {_ID_CHARACTERS} are allowed"
    return "it holds a control character" if _CONTROL.search(own) else ""
