"""The transformers classifier: the published codes of memorised texts, and every folder that is not what it says."""

import json
import math
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classifier import ModelError, load_classifier
from models.digest import folder_digest
from models.transformer import MAX_WINDOWS, TransformerClassifier, _batches
from schemas.model_card import ModelCard
from tests import tiny_models as tiny
from tests.tiny_models import SENTENCES, changed, coded, names, refusal, reweighted, same, without, zeros

CAP = [*map(str, (*range(1, 11), *range(12, 22), 23, 999))]
POOLED = ("negative", "neutral", "positive")  # of pooled-sentiment-v2
HUNEMBERT = ("neutral", "positive", "negative")  # of HunEmBERT3
ANY_TEXT = st.text(max_size=40) | st.lists(st.sampled_from(SENTENCES), max_size=8).map(" ".join)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    for library in ("torch", "transformers"):
        pytest.importorskip(library, reason=f"{library} is not installed: pip install babelbeam[transformers]")
    with tiny.one_thread():
        yield


@pytest.fixture(scope="module")
def cap(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return tiny.train_tiny_model(tmp_path_factory.mktemp("models") / "cap", SENTENCES, CAP, "cap@1")


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder = tmp_path_factory.mktemp("models") / "sentiment"
    names = {0: "Negative", 1: "Neutral", 2: "Positive"}
    return tiny.train_tiny_model(folder, SENTENCES[:9], POOLED, "sentiment3@1", id2label=names)


@pytest.fixture(scope="module")
def model(sentiment: ModelCard) -> TransformerClassifier:
    return TransformerClassifier(sentiment)


def test_a_cap_head_of_22_gives_the_published_codes_in_the_order_of_the_facts(cap: ModelCard) -> None:
    assert coded(load_classifier(cap), list(SENTENCES)) == CAP


def test_two_orders_of_sentiment_give_the_same_codes(model: TransformerClassifier, tmp_path: Path) -> None:
    assert coded(model, list(SENTENCES[:9])) == list(POOLED) * 3
    names = {0: "Neutral", 1: "Positive", 2: "Negative"}
    card = tiny.train_tiny_model(tmp_path / "h", SENTENCES[:9], HUNEMBERT, "sentiment3@1", id2label=names)
    assert coded(TransformerClassifier(card), list(SENTENCES[:9])) == list(HUNEMBERT) * 3
    message = refusal(replace(card, codes=POOLED))
    assert "id2label[0] of config.json is 'Neutral', which names code 'neutral' of sentiment3@1" in message
    assert "card: 'negative'" in message


def test_a_generic_head_has_the_order_of_its_card(sentiment: ModelCard, tmp_path: Path) -> None:
    card = changed(sentiment, tmp_path, "config.json", names("LABEL_0", "LABEL_1", "LABEL_2"))
    assert coded(TransformerClassifier(card), list(SENTENCES[:9])) == list(POOLED) * 3
    assert coded(TransformerClassifier(replace(card, codes=HUNEMBERT)), list(SENTENCES[:3])) == list(HUNEMBERT)


def test_published_codes_and_aliases_are_known_as_labels(cap: ModelCard, tmp_path: Path) -> None:
    card = changed(cap, tmp_path, "config.json", names(*CAP[:13], "domestic COMMERCE", *CAP[14:-1], "none"))
    assert coded(TransformerClassifier(card), list(SENTENCES)) == CAP


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", names("Negative", "Neutral", "Joy"), "id2label[2] of config.json is 'Joy', which names no"),
        ("config.json", names("Negative", "Positive", "Neutral"), "is 'Positive', which names code 'positive'"),
        ("config.json", names("0", "1", "2"), "id2label[0] of config.json is '0', which names no code"),
        ("config.json", names(0, 1, 2), "id2label[0] of config.json is 0, which names no code"),
        ("config.json", names("LABEL_1", "LABEL_0", "LABEL_2"), "'LABEL_1', which names no code"),
        ("config.json", names("Negative", "Neutral"), "2 labels (id2label) but the card has 3 codes: negative,"),
        ("config.json", {"id2label": {"1": "Neutral"}}, "allowed are an object's keys 0, 1, 2"),
        ("config.json", {"id2label": ["Negative", "Neutral", "Positive"]}, "allowed are an object's keys 0, 1, 2"),
        ("config.json", {"label2id": {"Positive": 0}}, "label2id[0] of config.json is 'Positive'"),
        ("config.json", {"label2id": {"Positive": 7}}, "label2id of config.json has index 7 but the card has 3 codes"),
        ("config.json", {"label2id": {"Positive": "x"}}, "label2id of config.json has index 'x'"),
        ("config.json", {"num_labels": 22}, "22 labels (num_labels) but the card has 3 codes: negative, neutral"),
        ("config.json", {"id2label": None}, "2 labels (num_labels by default) but the card has 3 codes"),
        ("config.json", {"problem_type": "regression"}, "allowed: single_label_classification"),
        ("config.json", {"auto_map": {"AutoConfig": "own.Config"}}, "config.json names code of its own (auto_map"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.T", None]}}, "tokenizer_config.json names code"),
        ("config.json", {"model_type": "own"}, "transformers cannot load it"),
        ("config.json", {"attn_implementation": "someone/kernel"}, "'someone/kernel'; allowed: sdpa, eager or none"),
        ("config.json", {"transformers_weights": "x.safetensors"}, "names weights of its own"),
        ("config.json", "{", "config.json cannot be read"),
        ("config.json", "[]", "config.json holds list but should hold an object"),
        ("config.json", None, "config.json is missing"),
        ("tokenizer.json", "{", "transformers cannot load it"),
        ("tokenizer.json", None, "there is no tokenizer; one of tokenizer.json, sentencepiece.bpe.model"),
        ("model.safetensors", None, "there are no weights; needed is model.safetensors"),
        ("modeling_own.py", "", "it holds code of its own (modeling_own.py)"),
        ("adapter_config.json", "{}", "it is an adapter to another model"),
    ],
)
def test_a_folder_that_may_not_be_so(sentiment: ModelCard, tmp_path: Path, name: str, content: Any, said: str) -> None:
    assert said in refusal(changed(sentiment, tmp_path, name, content))


def test_a_head_of_another_width_than_the_card(cap: ModelCard, tmp_path: Path) -> None:
    assert "22 labels (id2label) but the card has 21 codes" in refusal(replace(cap, codes=tuple(CAP[:-1])))
    wide = tiny.train_tiny_model(tmp_path / "wide", SENTENCES[:3], CAP[:22], "cap@1", width=23)
    assert "23 labels (id2label) but the card has 22 codes" in refusal(wide)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (zeros("classifier.out_proj.weight", 4, 64), "classifier.out_proj.weight has 4 rows but the card has 3 codes"),
        (zeros("classifier.out_proj.bias", 4), "classifier.out_proj.bias are (4,) but should be (3,) by config.json"),
        (zeros("classifier.dense.weight", 64, 32), "classifier.dense.weight are (64, 32) but should be (64, 64)"),
        (zeros("roberta.embeddings.word_embeddings.weight", 9, 64), "word_embeddings.weight are (9, 64) but should be"),
        (zeros("extra", 1), "unexpected keys ['extra']; allowed: none"),
        (without("classifier.out_proj.weight"), "no classification head"),
        (without("classifier.dense.bias"), "missing keys ['classifier.dense.bias']; allowed: none"),
        (without("roberta.embeddings.LayerNorm.bias"), "missing keys ['roberta.embeddings.LayerNorm.bias']"),
    ],
)
def test_weights_are_those_of_the_network(sentiment: ModelCard, tmp_path: Path, change: tiny.Change, said: str) -> None:
    assert said in refusal(reweighted(sentiment, tmp_path, change))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt"])
def test_pickled_weights_are_refused_and_never_opened(sentiment: ModelCard, tmp_path: Path, name: str) -> None:
    card = tiny.copied(sentiment, tmp_path, digest=sentiment.digest)
    (Path(card.address) / name).write_bytes(pickle.dumps(tiny.Bomb()))
    assert coded(TransformerClassifier(card), list(SENTENCES[:3])) == list(POOLED)
    (Path(card.address) / "model.safetensors").unlink()
    assert f"weights are pickled ({name}) and refused" in refusal(card)


@pytest.mark.parametrize("size", [0, 4, 100, 300_000])
def test_safetensors_that_are_cut_off(sentiment: ModelCard, tmp_path: Path, size: int) -> None:
    card = tiny.copied(sentiment, tmp_path)
    path = Path(card.address) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert "model.safetensors is not a whole safetensors file" in refusal(card)


def test_weights_in_several_files(sentiment: ModelCard, tmp_path: Path) -> None:
    card = tiny.divided(sentiment, tmp_path)
    assert coded(TransformerClassifier(card), list(SENTENCES[:9])) == list(POOLED) * 3
    index = Path(card.address) / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"classifier.out_proj.weight": "../other.safetensors"}}))
    assert "names the files ['../other.safetensors']" in refusal(card)
    index.unlink()
    assert "model.safetensors.index.json is missing" in refusal(card)


def test_a_tokenizer_with_more_tokens_than_the_embedding(sentiment: ModelCard, tmp_path: Path) -> None:
    model = json.loads((Path(sentiment.address) / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    rows = len(model["vocab"])
    model["vocab"].append(["▁one-too-many", -9.0])
    card = changed(sentiment, tmp_path, "tokenizer.json", {"model": model})
    assert f"its tokenizer has {rows + 1} tokens but the embedding has {rows} rows" in refusal(card)


def test_a_card_that_does_not_fit(sentiment: ModelCard, tmp_path: Path) -> None:
    assert "the folder does not exist" in refusal(replace(sentiment, address=str(tmp_path / "nowhere")))
    assert "max_tokens=129 but its position embeddings take 128" in refusal(replace(sentiment, max_tokens=129))
    assert "stride=8 but windows hold 8 tokens" in refusal(replace(sentiment, max_tokens=10, stride=8))
    longest = TransformerClassifier(replace(sentiment, max_tokens=128))
    assert longest.classify([" ".join(SENTENCES)], ["en"]).windows[0] > 1


def test_a_digest_of_other_files(sentiment: ModelCard, tmp_path: Path) -> None:
    card = tiny.copied(sentiment, tmp_path, digest=sentiment.digest)
    folder = Path(card.address)
    for name in ("README.md", "card.toml", "training_args.bin", "trainer.py"):
        (folder / name).write_text("of no consequence")
    TransformerClassifier(card)
    with (folder / "config.json").open("a") as config:
        config.write("\n")
    assert f"is {folder_digest(folder)} but should be the card's {sentiment.digest}" in refusal(card)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a folder"):
        folder_digest(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="holds no file of a model"):
        folder_digest(str(tmp_path))
    found = []
    for name, content in (("hu.toml", "a"), ("hu.toml", "b"), ("en.toml", "b"), ("card.toml", "c")):
        (tmp_path / name).write_text(content)
        found.append(folder_digest(tmp_path))
    assert [len(set(found)), found[2], len(found[0])] == [3, found[3], 32]


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_without_its_libraries(sentiment: ModelCard, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert "pip install babelbeam[transformers]" in refusal(sentiment)


def test_loading_is_silent(sentiment: ModelCard, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    TransformerClassifier(sentiment)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert logging.set_tqdm_hook(None) is None
    assert capfd.readouterr() == ("", "")


@settings(deadline=None, max_examples=30)
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=8), data=st.data())
def test_neighbours_change_nothing(model: TransformerClassifier, texts: list[str], data: st.DataObject) -> None:
    expected = tiny.one_by_one(model, texts)
    assert same(model.classify(texts, ["en"] * len(texts)), expected)
    order = data.draw(st.permutations([*range(len(texts)), 0]))  # the first stands twice
    assert same(model.classify([texts[number] for number in order], ["en"] * len(order)), tiny.ordered(expected, order))


def test_several_batches_are_put_back_in_order(model: TransformerClassifier) -> None:
    texts = [" ".join(SENTENCES[: number % 5 + 1]) for number in range(300)]
    said = model.classify(texts, ["en"] * 300)
    assert same(model.classify(texts[::-1], ["en"] * 300), tiny.ordered(said, range(299, -1, -1)))
    assert same(model.classify(texts[:5], ["en"] * 5), tiny.one_by_one(model, texts[:5]))
    np.testing.assert_allclose(said.probabilities[:5], said.probabilities[295:], rtol=0, atol=1e-5)


def test_threads_share_a_model(model: TransformerClassifier) -> None:
    texts = [" ".join(SENTENCES[number : number + 6]) for number in range(12)]
    expected = model.classify(texts, ["en"] * 12)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: model.classify(texts, ["en"] * 12), range(16)))
    assert all(same(one, expected) for one in found)


@given(lengths=st.lists(st.integers(1, 600), max_size=60), budget=st.integers(1, 4000))
def test_batches_hold_every_window_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(_batches(lengths, budget))
    assert sorted(number for batch in batches for number in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= budget


@pytest.mark.parametrize("words", [1, 40, 62, 63, 110, 1000])
def test_a_long_text_is_the_mean_of_its_windows_by_tokens(model: TransformerClassifier, words: int) -> None:
    ids = model._tokenizer(" ".join((" ".join(SENTENCES) * 20).split()[:words]), add_special_tokens=False)["input_ids"]
    step, size = 62 - 16, 62
    count = 1 + max(0, math.ceil((len(ids) - size) / step))
    pieces = [ids[start * step : start * step + size] for start in range(count)]
    shares = [model._forward([np.array([0, *piece, 2])])[0] for piece in pieces[:MAX_WINDOWS]]
    said = model.classify([" ".join((" ".join(SENTENCES) * 20).split()[:words])], ["en"])
    expected = np.average(shares, axis=0, weights=[len(piece) for piece in pieces[:MAX_WINDOWS]])
    np.testing.assert_allclose(said.probabilities[0], expected, rtol=0, atol=1e-5)
    assert (said.windows[0], said.truncated[0]) == (min(count, MAX_WINDOWS), count > MAX_WINDOWS)


def test_a_text_over_64_windows_is_cut_and_says_so(model: TransformerClassifier) -> None:
    fits = 62 + 63 * (62 - 16)  # tokens
    letters = " ".join("x" * fits)
    step = len(model._tokenizer(letters, add_special_tokens=False)["input_ids"]) // fits
    said = model.classify([" ".join("x" * (fits // step)), " ".join("x" * (fits // step + 1))], ["en", "en"])
    assert (said.windows.tolist(), said.truncated.tolist()) == ([64, 64], [False, True])


def test_saved_padding_and_truncation_change_nothing(model: TransformerClassifier, tmp_path: Path) -> None:
    cutting = {"direction": "Left", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 64}, "direction": "Left", "pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"}
    card = changed(model.card, tmp_path, "tokenizer.json", {"truncation": cutting, "padding": padding})
    texts = [SENTENCES[0], " ".join(SENTENCES)]
    assert same(TransformerClassifier(card).classify(texts, ["en"] * 2), model.classify(texts, ["en"] * 2))


def test_what_cannot_be_read_is_rejected_beside_what_can(model: TransformerClassifier) -> None:
    texts = ["", SENTENCES[0], " \n\t", "a \ud800 b", "<s></s>", SENTENCES[1]]
    said = model.classify(texts, ["en"] * 6)
    assert said.rejections == ("no tokens", None, "no tokens", "undecodable text", "no tokens", None)
    assert said.probabilities.argmax(axis=1)[[1, 5]].tolist() == [0, 1]
    assert (said.probabilities.dtype.kind, said.windows.dtype.kind, said.truncated.dtype.kind) == ("f", "i", "b")
    none = model.classify([], [])
    assert (none.probabilities.shape, none.windows.shape, none.rejections) == ((0, 3), (0,), ())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_rejected(sentiment: ModelCard, tmp_path: Path, value: float) -> None:
    card = reweighted(sentiment, tmp_path, lambda weights: weights["classifier.out_proj.bias"].__setitem__(1, value))
    said = TransformerClassifier(card).classify([SENTENCES[0], ""], ["en", "en"])
    assert said.rejections == ("non-finite scores", "no tokens")
    assert np.isfinite(said.probabilities).all()
