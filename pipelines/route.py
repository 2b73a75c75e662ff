"""`babelbeam route`: which model would code a language and domain, and why."""

from dataclasses import dataclass

from models.classifier import check_model
from models.registry import open_registry
from pipelines.failures import ConfigurationError
from schemas.codebook import codebook
from schemas.group import Group, domain_named, primary_language
from transforms.import_values import normalise_language
from transforms.route import decide


@dataclass(frozen=True)
class Options:
    """Say which model would code a language and domain under a codebook, and why.

    Examples:
      babelbeam route --codebook cap --language hu --domain media
    """

    language: str
    """Language, such as hu, or und."""
    domain: str = "und"
    """Domain, such as media, or und."""
    codebook: str = "cap"
    """Codebook, by name (latest version) or id (cap@1)."""
    models: str | None = None
    """Folder of model folders, each with a card.toml; beside the starter models."""


def run(options: Options) -> int:
    """Run the command; return 0 where there is a model, 1 where there is none."""
    try:
        tag = normalise_language(options.language) or options.language
        group = Group(primary_language(tag), domain_named(options.domain) or options.domain)
        book = codebook(options.codebook).id
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    decision = decide(group, book, open_registry(options.models))
    if decision.route is None:
        print(f"{book} {group}: rejected: {decision.reason}: {decision.detail}")
        return 1
    check_model(decision.route.card)
    print(f"{book} {group}: {decision.route.card.name}: {decision.route.reason}")
    return 0
