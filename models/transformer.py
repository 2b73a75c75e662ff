"""The transformers classifier: a sequence classifier from a local folder, refused unless it is what its card says."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.classifier import ModelError, Prediction
from schemas.model_card import ModelCard

MAX_WINDOWS = 64
"""Windows of a text that are read: the rest of a longer text is left unread, and the Prediction says so."""

NO_TOKENS = "no tokens"
NOT_FINITE = "non-finite scores"
UNDECODABLE = "undecodable text"

_TOKENS = {"cpu": 2048, "cuda": 16384}  # rows x longest of a batch: on a CPU small ones win through its cache
_TEXTS = 256  # are tokenized together

_LONE = re.compile("[\ud800-\udfff]")  # surrogates: half a character, which UTF-8 does not have

_loading = threading.Lock()  # transformers' log level and progress bars are the whole process's


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from showing progress bars and warnings meanwhile, and leave all as it was."""
    from transformers.utils import logging

    with _loading:
        level = logging.get_verbosity()
        hook = logging.set_tqdm_hook(lambda bar, args, options: bar(*args, **{**options, "disable": True}))
        logging.set_verbosity(logging.log_levels["error"])
        try:
            yield
        finally:
            logging.set_verbosity(level)
            logging.set_tqdm_hook(hook)


def _load(folder: Checkpoint) -> tuple[Any, Any]:
    """Return the tokenizer and the model, on its device; raise ModelError where a weight is not from the folder."""
    try:
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        why = f"a transformers model needs torch and transformers ({error}): pip install babelbeam[transformers]"
        raise folder.error(why) from error
    classifier: Any = AutoModelForSequenceClassification
    local = {"local_files_only": True, "trust_remote_code": False}
    device, dtype = _place(torch)
    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder.path, **local)
            config = AutoConfig.from_pretrained(folder.path, **local)
            with torch.device("meta"):
                _check_shapes(folder, classifier.from_config(config).state_dict())
            model, report = classifier.from_pretrained(
                folder.path, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **local
            )
        except ModelError:
            raise
        except Exception as error:  # whatever the libraries raise; tokenizers raises plain Exception
            raise folder.error(f"transformers cannot load it: {error}") from error
    for kind, names in report.items():
        if names:
            raise folder.error(f"{kind.replace('_', ' ')} {sorted(map(str, names))}; allowed: none")
    return tokenizer, model.to(device).eval()


def _place(torch: Any) -> tuple[str, Any]:
    if not torch.cuda.is_available():
        return "cpu", torch.float32
    return "cuda", torch.bfloat16 if torch.cuda.get_device_capability()[0] >= 8 else torch.float16  # noqa: PLR2004


def _check_shapes(folder: Checkpoint, wanted: Mapping[str, Any]) -> None:
    for name, tensor in wanted.items():
        shape = folder.shapes.get(name, tuple(tensor.shape))
        if shape != tuple(tensor.shape):
            raise folder.error(f"weights {name} are {shape} but should be {tuple(tensor.shape)} by config.json")


def _longest(model: Any) -> int | None:
    """Return the tokens that a model's position embeddings take, or None where it has no such limit."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            padding = module.padding_idx  # in XLM-R's family positions start behind it
            return int(module.num_embeddings) - (0 if padding is None else padding + 1)
    limit = getattr(model.config, "max_position_embeddings", None)
    return None if limit is None else int(limit)


def _check_fit(folder: Checkpoint, tokenizer: Any, model: Any) -> None:
    if not tokenizer.is_fast:
        raise folder.error(f"{type(tokenizer).__name__} cannot cut texts into windows; a tokenizer.json is needed")
    vocabulary, rows = tokenizer.get_vocab(), model.get_input_embeddings().num_embeddings
    if len(vocabulary) <= len(tokenizer.all_special_ids):
        raise folder.error(f"its tokenizer knows special tokens only: {', '.join(vocabulary)}")
    if max(vocabulary.values()) >= rows:
        raise folder.error(f"its tokenizer has {max(vocabulary.values()) + 1} tokens but the embedding has {rows} rows")
    if model.config.pad_token_id is None and tokenizer.pad_token_id is None:
        raise folder.error("neither config.json nor the tokenizer names a padding token; one is needed")
    card, limit = folder.card, _longest(model)
    if limit is not None and card.max_tokens > limit:
        raise folder.error(f"the card has max_tokens={card.max_tokens} but its position embeddings take {limit}")
    own = card.max_tokens - tokenizer.num_special_tokens_to_add()
    if card.stride >= own:
        raise folder.error(f"the card has stride={card.stride} but windows hold {own} tokens without the special ones")


def _batches(lengths: Sequence[int], budget: int) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of windows of similar length, the longest first, with rows x longest within a budget."""
    order = np.argsort(-np.array(lengths, np.int64), kind="stable")
    start = 0
    while start < len(order):
        rows = max(1, budget // lengths[order[start]])
        yield order[start : start + rows]
        start += rows


class TransformerClassifier:
    """A model of kind ``transformers``: safetensors, ``config.json`` and tokenizer of the card's folder, nothing else.

    A text of more than ``card.max_tokens`` tokens is read in windows that overlap by ``card.stride``; its
    probabilities are the mean of theirs by their tokens, special ones not counted. Only the first MAX_WINDOWS are
    read. A text with a lone surrogate, without a token, or with a score that is no number is rejected.
    """

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        folder = Checkpoint(card)
        self._tokenizer, self._model = _load(folder)
        _check_fit(folder, self._tokenizer, self._model)
        self._tokenizer.truncation_side = "right"
        self._device = self._model.device
        self._special = np.zeros(self._model.get_input_embeddings().num_embeddings, np.bool_)
        self._special[self._tokenizer.all_special_ids] = True
        padding = (self._model.config.pad_token_id, self._tokenizer.pad_token_id)
        self._padding = next(token for token in padding if token is not None)
        self._lock = threading.Lock()
        self._tokenize(["a"])  # which sets the tokenizer up: from then on threads only read it

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> Prediction:  # noqa: ARG002
        """Classify texts of any of the card's languages alike."""
        readable = np.array([not _LONE.search(text) for text in texts], np.bool_)
        windows, counts = self._windows(texts, np.flatnonzero(readable))
        rows = np.array([number for number, _ in windows], np.int64)
        own = np.array([(~self._special[ids]).sum() for _, ids in windows], np.float64)
        sums = np.zeros((len(texts), len(self.card.codes)))
        np.add.at(sums, rows, self._shares([ids for _, ids in windows]) * own[:, None])
        tokens = np.bincount(rows, own, minlength=len(texts))
        means = sums / np.maximum(tokens, 1)[:, None]
        finite = np.asarray(np.isfinite(means).all(axis=1))
        rejections = np.full(len(texts), None, object)
        for reason, concerned in ((NOT_FINITE, ~finite), (NO_TOKENS, tokens == 0), (UNDECODABLE, ~readable)):
            rejections[concerned] = reason
        return Prediction(
            probabilities=np.where(finite[:, None], means, 0).astype(np.float32),
            windows=np.minimum(counts, MAX_WINDOWS).astype(np.int32),
            truncated=np.asarray(counts > MAX_WINDOWS),
            rejections=tuple(rejections),
        )

    def _tokenize(self, texts: list[str]) -> Any:
        return self._tokenizer(
            texts,
            truncation=True,
            max_length=self.card.max_tokens,
            stride=self.card.stride,
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )

    def _windows(
        self, texts: Sequence[str], wanted: NDArray[np.intp]
    ) -> tuple[list[tuple[int, NDArray[np.int64]]], NDArray[np.int64]]:
        """Return the windows to read, as (text, token ids), of the wanted texts, and how many every text has."""
        windows, counts = [], np.zeros(len(texts), np.int64)
        for start in range(0, len(wanted), _TEXTS):
            chosen = wanted[start : start + _TEXTS]
            found = self._tokenize([texts[number] for number in chosen])
            for number, ids in zip(chosen[found["overflow_to_sample_mapping"]], found["input_ids"], strict=True):
                counts[number] += 1
                if counts[number] <= MAX_WINDOWS:
                    windows.append((int(number), np.array(ids, np.int64)))
        return windows, counts

    def _shares(self, windows: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return (windows, codes); a row is NaN where a score is not finite."""
        shares = np.zeros((len(windows), len(self.card.codes)), np.float32)
        for batch in _batches([len(ids) for ids in windows], _TOKENS[self._device.type]):
            shares[batch] = self._forward([windows[number] for number in batch])
        return shares

    def _forward(self, windows: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        import torch

        lengths = np.array([len(ids) for ids in windows])
        filled = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(filled.shape, self._padding, np.int64)
        ids[filled] = np.concatenate(windows)
        with self._lock, torch.inference_mode():
            mask = None if filled.all() else torch.from_numpy(filled.astype(np.int64)).to(self._device)
            scores = self._model(input_ids=torch.from_numpy(ids).to(self._device), attention_mask=mask).logits.float()
            shares = torch.softmax(scores, -1).cpu().numpy()
            shares[~torch.isfinite(scores).all(-1).cpu().numpy()] = np.nan
        return np.asarray(shares, np.float32)
