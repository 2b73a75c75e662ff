"""Checkpoint: the folder of a transformers model, checked against its card as far as that goes without torch."""

import re
from pathlib import Path

from models.classifier import ModelError
from models.digest import check_digest, read_object, weight_shapes
from schemas.codebook import codebook
from schemas.model_card import ModelCard

_DEFAULT_WIDTH = 2  # of a head in transformers, where config.json says nothing
_CODE = ("configuration_*.py", "modeling_*.py", "tokenization_*.py")
_HEADS = ("classifier.out_proj.weight", "classifier.weight", "score.weight", "logits_proj.weight")
_TOKENIZERS = ("tokenizer.json", "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model", "vocab.txt")


class Checkpoint:
    """The folder of a card, checked as far as that goes without torch; raises ModelError where it is anything else."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.path = Path(card.address).absolute()
        if not self.path.is_dir():
            raise self.error("the folder does not exist; a card's address is the local folder of its model")
        self.config = read_object(self.path / "config.json")
        self._check_code()
        if not any((self.path / name).is_file() for name in _TOKENIZERS):
            raise self.error(f"there is no tokenizer; one of {', '.join(_TOKENIZERS)} is needed")
        self._check_labels()
        self.shapes = weight_shapes(self.path)
        self._check_head()
        check_digest(card)

    def error(self, why: str) -> ModelError:
        """Return the error that names the model and its folder."""
        return ModelError(f"model {self.card.name}: {self.path}: {why}")

    def _check_code(self) -> None:
        for path in (self.path / "config.json", self.path / "tokenizer_config.json"):
            code = read_object(path).get("auto_map") if path.exists() else None
            if code:
                raise self.error(f"{path.name} names code of its own (auto_map {code}); no such code is run")
        modules = sorted(path.name for pattern in _CODE for path in self.path.glob(pattern))
        if modules:
            raise self.error(f"it holds code of its own ({', '.join(modules)}); only models that need none are loaded")
        attention = self.config.get("attn_implementation")
        if attention not in (None, "sdpa", "eager"):
            raise self.error(f"config.json has attn_implementation {attention!r}; allowed: sdpa, eager or none")
        if "transformers_weights" in self.config:
            raise self.error("config.json names weights of its own (transformers_weights); allowed: none")
        if (self.path / "adapter_config.json").exists():
            raise self.error("it is an adapter to another model (adapter_config.json); only whole models are loaded")

    def _check_labels(self) -> None:
        problem, id2label = self.config.get("problem_type"), self.config.get("id2label") or {}
        if problem not in (None, "single_label_classification"):
            raise self.error(f"config.json has problem_type {problem!r}; allowed: single_label_classification")
        if not isinstance(id2label, dict) or set(id2label) != {str(index) for index in range(len(id2label))}:
            raise self.error(f"config.json has id2label {id2label}; allowed are an object's keys 0, 1, 2, …")
        said = {"num_labels": self.config.get("num_labels"), "id2label": len(id2label) or None}
        widths = {name: width for name, width in said.items() if width is not None}
        for name, width in (widths or {"num_labels by default": _DEFAULT_WIDTH}).items():
            if width != len(self.card.codes):
                raise self.error(f"config.json has {width} labels ({name}) but the card has {self._codes()}")
        for index, word in id2label.items():
            self._check_word("id2label", index, word)
        for word, index in (self.config.get("label2id") or {}).items():
            self._check_word("label2id", index, word)

    def _codes(self) -> str:
        return f"{len(self.card.codes)} codes: {', '.join(self.card.codes)}"

    def _check_word(self, where: str, index: int | str, word: object) -> None:
        known = dict(enumerate(self.card.codes)).get(int(index)) if re.fullmatch(r"\d+", str(index)) else None
        if known is None:
            raise self.error(f"{where} of config.json has index {index!r} but the card has {self._codes()}")
        named = codebook(self.card.codebook).code_named(str(word))
        if str(word) == f"LABEL_{int(index)}" or named == known:
            return
        said = "names no code" if named is None else f"names code {named!r}"
        book = codebook(self.card.codebook).id
        raise self.error(f"{where}[{index}] of config.json is {word!r}, which {said} of {book}; card: {known!r}")

    def _check_head(self) -> None:
        heads = [name for name in _HEADS if name in self.shapes]
        if not heads:
            raise self.error(f"its weights have no classification head; one of {', '.join(_HEADS)} is needed")
        rows = self.shapes[heads[0]][0] if self.shapes[heads[0]] else 0
        if rows != len(self.card.codes):
            raise self.error(f"its head {heads[0]} has {rows} rows but the card has {self._codes()}")
