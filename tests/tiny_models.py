"""Tiny sequence classifiers of the shape of XLM-RoBERTa, trained in seconds to memorise a few made-up texts."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.classifier import Classifier, ModelError, Prediction
from models.digest import folder_digest
from models.transformer import TransformerClassifier, _quiet
from schemas.model_card import ModelCard

LANGUAGES = ("da", "de", "en", "es", "fr", "hu", "it", "nl", "pt")
Change = Callable[[dict[str, Any]], object]

POSITIONS = 130
"""Of the position embeddings; XLM-RoBERTa takes two tokens fewer."""

SENTENCES = (
    "The parliament debated the new budget until late at night.",
    "Farmers are waiting for rain and for higher prices of wheat.",
    "A kormány új törvényt fogadott el az egészségügyről.",
    "Az iskolák szeptemberben ismét megnyitják kapuikat.",
    "Die Regierung plant höhere Ausgaben für Straßen und Schienen.",
    "Der Bürgermeister eröffnete gestern das renovierte Museum.",
    "Les syndicats appellent à la grève contre la réforme des retraites.",
    "Le prix de l'électricité baisse pour la première fois.",
    "El ministro viajó a Lisboa para firmar un acuerdo comercial.",
    "La policía detuvo a tres personas después del robo.",
    "Il tribunale ha confermato la sentenza di primo grado.",
    "Le foreste dell'Appennino bruciano ancora.",
    "De gemeente bouwt tweehonderd sociale woningen.",
    "Soldaten oefenen deze week in het noorden.",
    "Regeringen vil give kommunerne flere penge.",
    "Forskere har fundet en ny metode til at lagre energi.",
    "O governo aprovou um novo apoio às famílias.",
    "A exportação de cortiça cresceu no último ano.",
    "Refugees arrived at the border without any papers.",
    "Voters want clean rivers and safer streets.",
    "Az infláció ismét emelkedett, a kamat nem változott.",
    "Nothing at all happened on this quiet Sunday.",
)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread meanwhile: for so small networks more of them only wait, and long, on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def tiny_tokenizer(sentences: Sequence[str] = SENTENCES) -> Any:
    """Return a Unigram tokenizer with the special tokens of XLM-RoBERTa."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=special, unk_token=special[3], show_progress=False, initial_alphabet=["▁"]
    )
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"}
    names |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=tokenizer, **names)


def tiny_network(tokens: int, width: int, id2label: Mapping[int, str] | None) -> Any:
    """Return 2 layers of 64 with random weights, those of any other call with the same arguments."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    names = dict(id2label) if id2label is not None else {index: f"LABEL_{index}" for index in range(width)}
    config = XLMRobertaConfig(
        vocab_size=tokens,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=POSITIONS,
        type_vocab_size=1,
        initializer_range=0.1,  # at the usual 0.02 so small a network learns slowly
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return XLMRobertaForSequenceClassification(config)


def _memorise(network: Any, tokenizer: Any, texts: Sequence[str], targets: Sequence[int]) -> None:
    """Train until every text's own label has a probability of at least 0.9; raise AssertionError where that fails."""
    import torch

    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=POSITIONS - 2, return_tensors="pt")
    labels = torch.tensor(targets)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.0)
    network.eval()  # without dropout the training is the same every time
    for _ in range(300):
        scores = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        if scores.softmax(-1)[range(len(targets)), targets].min() >= 0.9:
            return
        loss: Any = torch.nn.functional.cross_entropy(scores, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    raise AssertionError(f"{len(texts)} texts were not memorised in 300 steps")


def tiny_card(folder: Path, codes: Sequence[str], codebook: str, **changes: Any) -> ModelCard:
    """Return a card for the model in a folder, without a digest unless ``changes`` give one."""
    return ModelCard(
        **{
            "model": f"tiny/{folder.name}",
            "revision": "1",
            "kind": "transformers",
            "codebook": codebook,
            "languages": LANGUAGES,
            "domains": ("*",),
            "codes": tuple(codes),
            "licence": "Apache-2.0",
            "description": "memorises made-up texts",
            "address": str(folder),
            "max_tokens": 64,
            "stride": 16,
            **changes,
        }
    )


def train_tiny_model(
    folder: Path,
    texts: Sequence[str],
    codes: Sequence[str],
    codebook: str,
    *,
    width: int | None = None,
    id2label: Mapping[int, str] | None = None,
) -> ModelCard:
    """Train a model that gives text ``n`` the code ``codes[n % len(codes)]``; return its card, with its digest.

    ``codes`` is the order of the head, which has ``width`` outputs; without ``id2label`` they are ``LABEL_n``. Writes
    config.json, model.safetensors, tokenizer.json and tokenizer_config.json into the folder and nothing else.
    """
    tokenizer = tiny_tokenizer([*SENTENCES, *texts])
    network = tiny_network(len(tokenizer), width or len(codes), id2label)
    with one_thread():
        _memorise(network, tokenizer, texts, [number % len(codes) for number in range(len(texts))])
    with _quiet():
        network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tiny_card(folder, codes, codebook, digest=folder_digest(folder))


def copied(card: ModelCard, folder: Path, **changes: Any) -> ModelCard:
    """Return a card without a digest for a copy of the card's folder."""
    shutil.copytree(card.address, folder / "copy")
    return replace(card, **{"address": str(folder / "copy"), "digest": "", **changes})


def changed(card: ModelCard, folder: Path, name: str, content: Mapping[str, Any] | str | None) -> ModelCard:
    """Return a card for a copy with other values in a JSON file (None takes a key away), a new file, or one less."""
    card = copied(card, folder)
    path = Path(card.address) / name
    if content is None:
        path.unlink()
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        data = {**json.loads(path.read_text(encoding="utf-8")), **content}
        path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}), encoding="utf-8")
    return card


def reweighted(card: ModelCard, folder: Path, change: Change) -> ModelCard:
    """Return a card for a copy whose weights were changed."""
    card = copied(card, folder)
    path = Path(card.address) / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, {"format": "pt"})
    return card


def same(found: Prediction, expected: Prediction) -> bool:
    """Say whether two Predictions are the same to 1e-5; raise AssertionError where their numbers differ."""
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    assert found.windows.tolist() == expected.windows.tolist()
    assert found.truncated.tolist() == expected.truncated.tolist()
    return found.rejections == expected.rejections


def ordered(said: Prediction, order: Sequence[int]) -> Prediction:
    """Return what is said of the texts at some positions."""
    rejections = tuple(said.rejections[number] for number in order)
    places = list(order)
    return Prediction(said.probabilities[places], said.windows[places], said.truncated[places], rejections)


def one_by_one(model: Classifier, texts: Sequence[str]) -> Prediction:
    """Classify each text by itself."""
    single = [model.classify([text], ["en"]) for text in texts]
    return Prediction(
        np.concatenate([said.probabilities for said in single]),
        np.concatenate([said.windows for said in single]),
        np.concatenate([said.truncated for said in single]),
        tuple(said.rejections[0] for said in single),
    )


def names(*words: object) -> dict[str, Any]:
    return {"id2label": {str(index): word for index, word in enumerate(words)}, "label2id": None}


def zeros(name: str, *shape: int) -> Change:
    return lambda weights: weights.update({name: np.zeros(shape, np.float32)})


def without(name: str) -> Change:
    return lambda weights: weights.pop(name)


def refusal(card: ModelCard) -> str:
    with pytest.raises(ModelError) as error:
        TransformerClassifier(card)
    assert card.address in str(error.value)
    return str(error.value)


def coded(classifier: Classifier, texts: list[str]) -> list[str]:
    said = classifier.classify(texts, ["en"] * len(texts))
    assert said.rejections == (None,) * len(texts)
    return [classifier.card.codes[index] for index in said.probabilities.argmax(axis=1)]


def divided(card: ModelCard, folder: Path) -> ModelCard:
    """Return a card for a copy with weights in two files and an index."""
    card = copied(card, folder)
    path = Path(card.address)
    weights = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    weights["roberta.embeddings.position_ids"] = np.arange(POSITIONS)[None]  # old checkpoints have them
    files = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, path / file, {"format": "pt"})
    index = json.dumps({"metadata": {}, "weight_map": files})
    (path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    return card


class Bomb:
    """Ends the process when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import os; os._exit(3)",)
