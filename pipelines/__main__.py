"""`babelbeam <name>` and `python -m pipelines <name>`: dispatch and nothing else."""

import logging
import os
import sys
from importlib import import_module
from importlib.metadata import version

from pipelines.failures import exit_code, explain, is_interrupt
from pipelines.options import UsageError, parse
from schemas.version import code_version

COMMANDS = {
    "import": ("pipelines.importing", "bring a file of documents under a root"),
    "detect": ("pipelines.detect", "find the language and domain of the documents"),
    "classify": ("pipelines.classify", "code the documents into codebooks and publish the codings"),
    "codebooks": ("pipelines.codebooks", "list the codebooks, or show one"),
    "route": ("pipelines.route", "say which model would code a language and domain"),
    "runs": ("pipelines.runs", "list the runs of a root"),
    "report": ("pipelines.report", "print what a run did, row for row accounted for"),
    "demo": ("pipelines.demo", "classify the embedded corpus, from file to query"),
    "train-starter": ("pipelines.train_starter", "make the shipped domain detector again"),
}


def _overview() -> str:
    lines = ["usage: babelbeam COMMAND [flags]", "", "commands:"]
    lines += [f"  {name:15}{what}" for name, (_, what) in COMMANDS.items()]
    lines += ["", "babelbeam COMMAND --help shows the flags of a command."]
    return "\n".join(lines)


def _is_not_about_bigquery(record: logging.LogRecord) -> bool:
    """Say whether a log record is worth showing: Beam warns, whenever it is imported, of a client nobody asked for."""
    return "apitools not found" not in record.getMessage()


def _run(name: str, argv: list[str]) -> int:
    """Import a command's module and run it; a runner's worker log is left out, for what fails is raised and said."""
    logging.getLogger().addFilter(_is_not_about_bigquery)
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    command = import_module(COMMANDS[name][0])
    with_beam = getattr(command, "TAKES_BEAM_FLAGS", False)
    options, beam_flags = parse(command.Options, argv, name, with_beam=with_beam)
    return int(command.run(options, *beam_flags))


def _explained(name: str, error: BaseException) -> int:
    """Say in one line what went wrong and return the exit code; raise what is a fault of the program."""
    if is_interrupt(error):
        print("babelbeam: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    if (code := exit_code(error)) is None:
        raise error
    print(f"babelbeam {name}: {explain(error)}", file=sys.stderr)
    return code


def main(argv: list[str] | None = None) -> int:
    """Run one command; return 0 if it is done, 2 for bad usage or configuration, 1 if it failed, 130 on Ctrl-C."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help", "--version"):
        print(f"babelbeam {version('babelbeam')}, code {code_version()}" if name == "--version" else _overview())
        return 0
    if name not in COMMANDS:
        print(f"babelbeam: unknown command {name!r}\n{_overview()}", file=sys.stderr)
        return 2
    try:
        return _run(name, rest)
    except UsageError as error:
        return error.code
    except BrokenPipeError:  # whoever read what is printed has gone, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - what cannot be explained is raised again
        return _explained(name, error)


if __name__ == "__main__":
    sys.exit(main())
