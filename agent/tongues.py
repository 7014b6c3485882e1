"""In which language a text is written, and what is said where a question's is not that of the documents. Pure.

By script, else by function words of those languages that share the Latin one; a text that shows neither has none.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from agent.generation.phrases import TRANSLATED, phrase
from agent.german import language_of
from agent.message import History, Message
from retrieval.passage import Passage

LATELY = 8  # lines back whose language a message without one is taken to be in
LOOKED_AT = 200  # documents: of more, those whose names come first
CLEAR = 2  # function words from which a language is believed; one is enough where it is most of the words
FEW = 0.25  # the share of documents in another language from which that is said
UNSPOKEN = 0.8  # how fluent an encoder must be in a language to find across it
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
)
_WORDS = {
    "es": "el los las una del que qué es son por para con cómo cuántos cuántas cuánto cuándo dónde quién "
    "cuál al lo su sus se hay tiene tienen puedo debo y más pero está están desde hasta mi nos",
    "fr": "le les des une du que qu est sont pour par avec comment combien quand où qui quel quelle quels "
    "au aux et je nous vous on ce cette dans sur il elle ont peut dois mon ma mes notre pas",
    "it": "il gli una del della che è sono per con come quanti quante quanto quando dove chi quale al alla "
    "si ci ho ha hanno posso devo mio nostro di nel nella più",
    "pt": "os uma do da dos das que é são por para com como quantos quantas quanto quando onde quem qual ao "
    "à se há tem têm posso devo meu nosso não em no na mais",
    "nl": "het een van dat die zijn is voor met hoe hoeveel wanneer waar wie welke aan op ik wij we mijn "
    "onze kan moet heeft hebben niet en of bij naar worden",
}
_KNOWN = {name: frozenset(words.split()) for name, words in _WORDS.items()}
# A sentence of each: what an encoder makes of one tells whether it has learned the language; a question is too short.
_SAMPLES = {
    "en": "Employees hand in their request for leave with their supervisor two weeks ahead.",
    "de": "Die Beschäftigten reichen ihren Urlaubsantrag zwei Wochen vorher beim Vorgesetzten ein.",
    "es": "Los trabajadores entregan su solicitud de vacaciones al encargado con dos semanas de antelación.",
    "fr": "Les salariés remettent leur demande de congé au responsable deux semaines à l'avance.",
    "it": "I dipendenti consegnano la richiesta di ferie al responsabile con due settimane di anticipo.",
    "pt": "Os funcionários entregam o pedido de férias ao responsável com duas semanas de antecedência.",
    "nl": "De werknemers dienen hun verlofaanvraag twee weken van tevoren in bij hun leidinggevende.",
    "zh": "员工须提前两周向主管提交休假申请。",
    "ja": "従業員は二週間前までに上司へ休暇の申請を提出します。",
    "ko": "직원은 두 주 전에 상사에게 휴가 신청서를 제출합니다.",
    "ru": "Сотрудники подают заявление на отпуск руководителю за две недели.",
    "ar": "يقدم الموظفون طلب الإجازة إلى المشرف قبل أسبوعين.",
    "el": "Οι εργαζόμενοι υποβάλλουν την αίτηση άδειας στον προϊστάμενο δύο εβδομάδες νωρίτερα.",
}
_TOKEN = re.compile(r"[^\W\d_]+")
_READ = 2000  # characters


def tongue_of(text: str) -> str:
    """The code of the language (`de`, `es`, `zh`); empty where nothing shows it."""
    shown = text[:_READ]
    for name, script in _SCRIPTS:
        if len(script.findall(shown)) * 3 >= sum(map(str.isalpha, shown)) > 0:
            return name
    if "¿" in shown or "¡" in shown:
        return "es"
    if own := language_of(shown):
        return own
    words = _TOKEN.findall(shown.lower())
    counts = {name: sum(word in known for word in words) for name, known in _KNOWN.items()}
    best = max(counts, key=lambda name: counts[name])
    is_clear = counts[best] >= CLEAR or 2 * counts[best] >= len(words) > 0
    is_alone = sum(count == counts[best] for count in counts.values()) == 1
    return best if is_clear and is_alone else ""


def spoken_in(message: Message, text: str, history: History, passages: Sequence[Passage] = ()) -> str:
    """The language to speak in: of the message, of what was written last, of the person's app, of the best page."""
    if said := language_of(text):
        return said
    if tongue_of(text):  # in which nothing is said here
        return message.language
    written = (language_of(line.text) for line in reversed(history.lines[-LATELY:]) if line.role == "user")
    best = max(passages, key=lambda passage: passage.score, default=None)
    return next(filter(None, written), message.language) or (language_of(best.text) if best is not None else "")


def elsewhere(
    question: str,
    readable: Sequence[str],
    near: Collection[str],
    openings: Callable[[Collection[str]], dict[str, str]],
    fluency: Callable[[str], float],
    language: str,
) -> str:
    """That documents are in another language than a question that they did not answer; mostly empty.

    readable: those that the asker may read, by source, or the first of them. near: those named as the nearest.
    openings: how documents begin, by source. fluency: how well the encoder knows the language of a text: one that knows
    both finds across them. language: of the words.
    """
    asked = tongue_of(question)
    if not asked or not readable:
        return ""
    texts = openings([*near, *readable][:LOOKED_AT])
    found = {source: tongue_of(text) for source, text in texts.items()}
    others = Counter(tongue for tongue in found.values() if tongue and tongue != asked)
    is_near = (
        bool(near) and asked in found.values() and all(found.get(source, "") not in ("", asked) for source in near)
    )
    share = sum(others.values()) / max(sum(map(bool, found.values())), 1)
    if not others or (not is_near and share < FEW):
        return ""
    main = found[min(near)] if is_near else others.most_common(1)[0][0]
    if min(fluency(_SAMPLES[main]), fluency(_SAMPLES[asked])) >= UNSPOKEN:
        return ""
    if not is_near and share < 0.5:
        return phrase("answer", f"other_{main}", language=language) if main in TRANSLATED | {"en"} else ""
    named, count = phrase("tongues", main, language=language), others[main]
    shape = "near" if is_near and count < len(found) else "all" if count == len(found) else "most"
    return phrase("foreign", shape, language=language).format(count=count, all=len(found), language=named)
