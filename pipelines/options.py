"""Options: the frozen dataclass of each command becomes its flags; what they do not know is for Beam."""

import argparse
import inspect
from typing import Any, TypeVar

import tyro

Options = TypeVar("Options")


class UsageError(Exception):
    """The command line was answered already: help was printed, or what is wrong with it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def parse(kind: type[Options], argv: list[str], name: str, *, with_beam: bool) -> tuple[Options, list[Any]]:
    """Return the options in ``argv`` and, ``with_beam``, a list of one: the flags left over, all of them known to Beam.

    Raises UsageError, with the exit code, where help was asked for or the flags are wrong.
    """
    prog = f"babelbeam {name}"
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    says = inspect.getdoc(kind)
    try:
        if not with_beam:
            return tyro.cli(kind, args=argv, prog=prog, description=says, config=config), []
        options, rest = tyro.cli(kind, args=argv, prog=prog, description=says, config=config, return_unknown_args=True)
        _check_beam_flags(rest, prog)
    except SystemExit as stop:
        raise UsageError(stop.code if isinstance(stop.code, int) else 2) from None
    return options, [rest]


def _check_beam_flags(flags: list[str], prog: str) -> None:
    """Leave the process with a message where a flag is neither ours nor Beam's: a misspelt one must not be ignored."""
    if not flags:
        return
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = argparse.ArgumentParser(prog=prog, allow_abbrev=False, add_help=False, usage=f"{prog} --help")
    for part in PipelineOptions.__subclasses__():
        part._add_argparse_args(parser)  # noqa: SLF001 - Beam has no other way to list its flags
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        parser.error(f"unknown flags: {' '.join(unknown)}")
