"""Tiny sequence classifiers of the shape of XLM-RoBERTa, trained in seconds to memorise a few made-up texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.digest import folder_digest
from schemas.model_card import ModelCard

LANGUAGES = ("da", "de", "en", "es", "fr", "hu", "it", "nl", "pt")
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
        vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False, initial_alphabet=["▁"]
    )
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"}
    names |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


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
        torch.nn.functional.cross_entropy(scores, labels).backward()
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
    _memorise(network, tokenizer, texts, [number % len(codes) for number in range(len(texts))])
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tiny_card(folder, codes, codebook, digest=folder_digest(folder))
