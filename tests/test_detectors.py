"""The detectors: which languages and domains are found, what is left undetermined, and what is refused."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.classifier import ModelError
from models.detectors import (
    DEFAULT_LANGUAGES,
    DETECTOR_CARD,
    DomainDetector,
    LanguageDetector,
    language_detector,
    read_detector_card,
)
from models.training import train_linear

SENTENCES = {
    "da": "Regeringen vil bygge flere boliger i de store byer, men oppositionen siger nej.",
    "de": "Die Regierung will in den großen Städten mehr Wohnungen bauen, doch die Opposition ist dagegen.",
    "en": "The government wants to build more homes in the big cities, but the opposition says no.",
    "es": "El Gobierno quiere construir más viviendas en las grandes ciudades, pero la oposición lo rechaza.",
    "fr": "Le gouvernement veut construire davantage de logements dans les grandes villes.",
    "hu": "A kormány több lakást akar építeni a nagyvárosokban, de az ellenzék nem támogatja.",
    "it": "Il governo vuole costruire più case nelle grandi città, ma l'opposizione è contraria.",
    "nl": "De regering wil meer woningen bouwen in de grote steden, maar de oppositie is tegen.",
    "pt": "O governo quer construir mais casas nas grandes cidades, mas a oposição não concorda.",
    "no": "Regjeringen ønsker å bygge flere boliger i storbyene, men opposisjonen sier nei.",
    "sv": "Regeringen vill bygga fler bostäder i de stora städerna, men oppositionen säger nej.",
    "cs": "Vláda chce ve velkých městech stavět více bytů, ale opozice je proti.",
    "pl": "Rząd chce budować więcej mieszkań w dużych miastach, ale opozycja jest przeciw.",
    "uk": "Уряд хоче будувати більше житла у великих містах, але опозиція проти.",
    "el": "Η κυβέρνηση θέλει να χτίσει περισσότερα σπίτια στις μεγάλες πόλεις.",
}
NOTHING = ["", " \n\t", "12 345,67 €", "😀😀 🎉", "--- !!! ???", "https://example.org/some/page @someone", "\0\ud800"]
DOMAINS = [
    ("parlspeech", "Mr President, honourable colleagues, my group will vote against this amendment. (Applause.)"),
    ("parlspeech", "Herr Präsident! Meine Damen und Herren! Meine Fraktion lehnt diesen Antrag der Koalition ab."),
    ("parlspeech", "Tisztelt Elnök Úr! Tisztelt Képviselőtársaim! Frakciónk nem támogatja a javaslatot."),
    (
        "legislative",
        "Article 7. The provisions of paragraph 2 shall not apply. This Act shall enter into force on 1 May.",
    ),
    ("legislative", "Artículo 9. La presente ley entrará en vigor el 1 de mayo. Queda derogado el artículo 3."),
    ("legislative", "§ 4 Abs. 2 wird wie folgt geändert: Diese Verordnung tritt am 1. Mai in Kraft."),
    ("social", "omg so happy today!!! 😍😍 thank you all ❤️ #blessed"),
    ("social", "ahahah non ci credo 😂😂 #calcio @marco"),
    ("judiciary", "La Cour rejette le pourvoi et condamne la requérante aux dépens ; l'arrêt attaqué est confirmé."),
    ("judiciary", "De rechtbank verklaart het beroep ongegrond en veroordeelt eiser in de proceskosten."),
    (
        "localgovernment",
        "Punkt 3 på dagsordenen: Byrådet godkender referatet. Ansøgning om tilskud til idrætsforening.",
    ),
    ("media", "A polícia procura dois homens, disse na terça-feira um porta-voz, segundo a Lusa."),
]


@pytest.fixture(scope="module", params=["py3langid", "langdetect", "lingua"])
def detector(request: pytest.FixtureRequest) -> LanguageDetector:
    if request.param == "lingua":
        pytest.importorskip("lingua")
        return language_detector("lingua", SENTENCES)
    return language_detector(request.param)


def test_languages_are_found_in_plain_sentences(detector: LanguageDetector) -> None:
    languages, confidences = detector.detect(list(SENTENCES.values()))
    assert languages == list(SENTENCES)
    assert all(0.5 <= confidence <= 1 for confidence in confidences)


@pytest.mark.parametrize("text", NOTHING)
def test_texts_without_letters_are_undetermined(detector: LanguageDetector, text: str) -> None:
    assert detector.detect([text]) == (["und"], [0.0])


def test_surrogates_among_letters_do_no_harm(detector: LanguageDetector) -> None:
    assert detector.detect(["\ud800 " + SENTENCES["de"] + "\udfff"])[0] == ["de"]


def test_no_texts_have_no_languages(detector: LanguageDetector) -> None:
    assert detector.detect([]) == ([], [])


def test_results_are_the_same_in_threads_and_every_time(detector: LanguageDetector) -> None:
    texts = [text[:length] for text in SENTENCES.values() for length in (9, 25)]
    once = detector.detect(texts)
    with ThreadPoolExecutor(4) as threads:
        assert all(again == once for again in threads.map(detector.detect, [texts] * 8))


def test_only_the_first_400_characters_are_looked_at(detector: LanguageDetector) -> None:
    beginning = (SENTENCES["hu"] + " ") * 5
    assert detector.detect([beginning[:400] + SENTENCES["en"] * 50]) == detector.detect([beginning[:400]])


def test_a_detector_names_its_library_and_version(detector: LanguageDetector) -> None:
    library, version = detector.name.split(" ")
    assert library in ("py3langid", "langdetect", "lingua-language-detector")
    assert version[0].isdigit()


@pytest.mark.parametrize("name", ["py3langid", "langdetect"])
def test_below_the_threshold_a_language_is_undetermined_with_its_confidence(name: str) -> None:
    found, confidences = language_detector(name, threshold=0.0).detect(["hotel taxi"])
    assert found != ["und"]
    assert language_detector(name, threshold=1.0).detect(["hotel taxi"]) == (["und"], confidences)


def test_a_text_of_no_known_language_is_undetermined() -> None:
    assert language_detector().detect(["zzzz qqqq xkcd", "ᚠᚢᚦ", "ok"])[0] == ["und"] * 3


@pytest.mark.parametrize("name", ["py3langid", "langdetect"])
def test_norwegian_is_one_language_however_it_is_asked_for(name: str) -> None:
    for tag in ("no", "nb", "nn"):
        assert language_detector(name, ["da", "sv", tag]).detect([SENTENCES["no"]])[0] == ["no"]


def test_only_the_languages_asked_for_are_told_apart() -> None:
    assert language_detector("py3langid", ["de", "en"], 0.0).detect([SENTENCES["nl"]])[0] != ["nl"]


def test_more_than_the_modelled_languages_are_told_apart() -> None:
    assert set(SENTENCES) < set(DEFAULT_LANGUAGES)
    assert len(DEFAULT_LANGUAGES) == len(set(DEFAULT_LANGUAGES)) > 29


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: language_detector("fasttext"), "'fasttext'; detectors: py3langid, langdetect, lingua"),
        (
            lambda: language_detector("py3langid", ["en", "xx"]),
            r"\['xx'\] are unknown to py3langid; languages: ace, af",
        ),
        (lambda: language_detector("langdetect", ["en", "eo"]), r"\['eo'\] are unknown to langdetect"),
        (lambda: language_detector("langdetect", ["en", "is"]), "langdetect needs at least two"),
        (lambda: language_detector(threshold=1.5), "threshold=1.5"),
        (lambda: DomainDetector(threshold=-1), "threshold=-1"),
    ],
)
def test_unknown_names_languages_and_thresholds_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_missing_lingua_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lingua", None)
    with pytest.raises(ModelError, match=r"pip install babelbeam\[lingua\]"):
        language_detector("lingua")


@pytest.mark.parametrize(("domain", "text"), DOMAINS)
def test_texts_with_the_marks_of_a_domain_are_found(domain: str, text: str) -> None:
    found, (confidence,) = DomainDetector().detect([text])
    assert found == [domain]
    assert confidence <= 1


@pytest.mark.parametrize("text", NOTHING[:5])
def test_without_letters_there_is_no_domain(text: str) -> None:
    assert DomainDetector().detect([text]) == (["und"], [0.0])


def test_surrogates_do_no_harm_to_domains() -> None:
    assert DomainDetector().detect(["\ud800" + DOMAINS[0][1]])[0] == ["parlspeech"]


def test_a_domain_does_not_depend_on_neighbours_and_no_texts_have_none() -> None:
    detector, texts = DomainDetector(), [text for _, text in DOMAINS]
    together = detector.detect(texts)
    alone = [detector.detect([text]) for text in texts]
    assert together == ([domain for (domain,), _ in alone], [sure for _, (sure,) in alone])
    assert detector.detect([]) == ([], [])


def test_below_the_threshold_a_domain_is_undetermined() -> None:
    text = DOMAINS[0][1]
    _, confidences = DomainDetector(threshold=0).detect([text])
    assert DomainDetector(threshold=1).detect([text]) == (["und"], confidences)


def test_only_the_beginning_tells_the_domain() -> None:
    detector, beginning = DomainDetector(), "x" * 399 + " "
    assert detector.detect([beginning + DOMAINS[0][1]]) == detector.detect([beginning + DOMAINS[6][1]])


def detector_folder(folder: Path, labels: str = '["media", "social"]', **more: str) -> Path:
    settings = {"char_max": 0.0, "word_max": 1.0, "word_buckets": 64.0}
    train_linear(["police said", "lol omg"] * 4, ["media", "social"] * 4, settings, seed=0).save(folder)
    keys = {"model": '"d"', "revision": '"7"', "licence": '"MIT"', "description": '"x"', "sources": "[]"} | more
    lines = [*(f"{key} = {value}" for key, value in keys.items()), f"labels = {labels}", "[settings]"]
    lines += [f"{key} = {value}" for key, value in settings.items()]
    (folder / DETECTOR_CARD).write_text("\n".join(lines))
    return folder


def test_a_detector_of_ones_own_is_read_from_its_folder(tmp_path: Path) -> None:
    detector = DomainDetector(read_detector_card(detector_folder(tmp_path)), 0.5)
    assert detector.name == "d@7"
    assert detector.detect(["the police said", "omg"])[0] == ["media", "social"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": '["media", "gossip"]'}, "gossip"),
        ({"labels": '["media", "media"]'}, "each once"),
        ({"labels": '["media"]'}, "weights is float16"),
        ({"colour": '"red"'}, "unknown keys"),
        ({"model": "3"}, "Expected `str`"),
    ],
)
def test_a_malformed_card_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        DomainDetector(detector_folder(tmp_path, **changes))


def test_a_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=DETECTOR_CARD):
        DomainDetector(tmp_path)
