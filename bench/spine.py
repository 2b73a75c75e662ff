"""The whole of `babelbeam classify` beside the bare loop: the same detectors and classifier on texts in memory.

share = seconds of the bare loop / seconds of the whole command, start and publishing included. Medians of rounds in
turn; the bare loop does not count the loading of its models, the command does.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from _corpus import last_line, run, short_texts, table, write_csv

from models.classifier import load_classifier
from models.registry import open_registry
from pipelines.detect import DetectionFlags

BATCH = 10_000


def bare_loop(texts: list[str]) -> float:
    """Return the seconds that detection and classification of texts in memory take."""
    settings = DetectionFlags().settings()
    languages, domains = settings.language(), settings.domain()
    (card,) = (card for card in open_registry().cards if card.codebook == "cap@1")
    classifier = load_classifier(card)
    started = time.monotonic()
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        found, _ = languages.detect(batch)
        domains.detect(batch)
        known = [(text, language) for text, language in zip(batch, found, strict=True) if language in card.languages]
        classifier.classify([text for text, _ in known], [language for _, language in known])
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 texts and one round, within a minute")
    quick = parser.parse_args().quick
    count, rounds = (10_000, 1) if quick else (100_000, 3)
    texts = [text for _, text in short_texts(count)]
    bare, whole = [], []
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "texts.csv", count)
        for number in range(rounds):
            root = f"{folder}/root-{number}"
            run("import", f"{folder}/texts.csv", "--root", root, "--source", "bench")
            bare.append(bare_loop(texts))
            whole.append(run("classify", "--root", root).seconds)
    rows = [
        (name, count, median(seconds), count / median(seconds))
        for name, seconds in (("bare loop", bare), ("classify", whole))
    ]
    table(("what", "texts", "seconds", "texts/s"), rows)
    last_line(texts=count, rounds=rounds, share=median(b / w for b, w in zip(bare, whole, strict=True)))


if __name__ == "__main__":
    main()
