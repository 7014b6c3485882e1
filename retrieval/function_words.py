"""Words that every text of a language holds: where passages are few, BM25's idf alone takes them for evidence.

Recall@1 of the questions of an FAQ over ten of its answers, and over all, with a full weight and with `LESS`: German
.710 to .731 and .374 to .385, Polish .565 to .595 and .359 to .374, Swedish .734 to .781 and .625 to .625, Italian .705
to .692 and .500 to .513 (one of 78 questions is .013). With half a weight the best passage by words alone overtook the
fusion in Polish. English gained nothing, so its list only keeps English questions from being taken for others.
"""

from collections.abc import Collection

from retrieval.tokens import words

LESS = 0.7  # of its weight is left to such a word
ENOUGH = 2  # of them tell a language

_ENGLISH = """
a an the and or but if is are was were be been am do does did can could will would should may must has have had i you he
she it we they me us my your his her our their its this that these those there here not no to of in on at for from with
by about into as than then so such when where who what which whose how why war man die art
"""
_OTHERS = {
    "de": """
        der die das den dem des ein eine einen einem einer eines und oder aber ist sind war waren wird werden wurde kann
        können konnte darf dürfen muss müssen soll sollen sollte hat haben habe ich du er sie es wir ihr mich mir dich
        dir sich uns euch mein meine meinen meinem meiner unser unsere dein deine sein seine ihre ihren nicht kein keine
        keinen auch nur noch schon so wie was wer wo wann warum welche welcher welches welchen wenn dass ob als bei mit
        von vom zu zum zur im in am an auf aus für durch über unter nach vor um bis gegen ohne man es gibt diese dieser
        dieses diesen
    """,
    "it": """
        il lo la i gli le un uno una di a da in con su per tra fra del dello della dei degli delle al allo alla ai agli
        alle dal dalla dai dalle nel nella nei nelle sul sulla e o ma è sono era essere ho ha hanno avere posso può
        possono che chi come cosa quando dove perché quale quali se non si mi ci ne mio mia miei mie suo sua questo
        questa questi queste c
    """,
    "pl": """
        i a w we z ze na do od po o u dla przez przy pod nad się nie jest są być był była czy co jak kiedy gdzie kto
        dlaczego jaki jaka jakie które który która ten ta te to tym tego tej mogę może można moje mój moja mam ma oraz
        lub albo ale że
    """,
    "sv": """
        en ett den det de och eller men är var som på i av för med till från om vid hur vad när vem varför vilka vilken
        kan ska skall måste får har hade jag du han hon vi ni man mig dig min mitt mina inte att så ut upp
    """,
}


def _cut(listed: str) -> frozenset[str]:
    return frozenset(words(listed))


_LISTS = (_cut(_ENGLISH), *map(_cut, _OTHERS.values()))
_HOLDERS = {word: [i for i, listed in enumerate(_LISTS) if word in listed] for word in frozenset().union(*_LISTS)}


def function_words(asked: Collection[str]) -> frozenset[str]:
    """Those of a query's index words that its language has in every text.

    None in English, where the language is in doubt, or where nothing else was asked.
    """
    distinct, counts = frozenset(asked), [0] * len(_LISTS)
    for word in distinct:
        for i in _HOLDERS.get(word, ()):
            counts[i] += 1
    most = max(counts)
    if most < ENOUGH or counts.count(most) > 1 or counts[0] == most or most == len(distinct):
        return frozenset()
    return distinct & _LISTS[counts.index(most)]
