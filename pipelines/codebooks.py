"""`babelbeam codebooks`: the codebooks there are, or the codes of one."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from pipelines.failures import ConfigurationError
from pipelines.report import print_table
from schemas.codebook import codebook, codebooks


@dataclass(frozen=True)
class Options:
    """List the codebooks, or show the codes of one.

    Examples:
      babelbeam codebooks
      babelbeam codebooks cap
    """

    name: Annotated[str, tyro.conf.Positional] = ""
    """Name (latest version) or id (cap@1) of a codebook."""


def run(options: Options) -> int:
    """Run the command; return the exit code."""
    try:
        books = codebooks()
        book = codebook(options.name) if options.name else None
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if book is None:
        rows = ((book.id, len(book.codes), book.title) for book in books.values())
        print_table("codebooks", ("codebook", "codes", "title"), rows)
        return 0
    print(f"{book.id}: {book.title} ({book.origin})")
    print_table("codes", ("code", "name", "aliases"), ((c.code, c.name, "; ".join(c.aliases)) for c in book.codes))
    return 0
