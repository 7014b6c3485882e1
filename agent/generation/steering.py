"""What a message says about thinking together itself: go on, stop, what do we have, I have none. Pure.

English and German; in doubt a message is taken for an idea.
"""

import re
from collections.abc import Sequence
from typing import Literal

from agent import german
from agent.conversation import proposes, rejects
from agent.ideation.techniques import about, named
from agent.looking_back import Back, looks_back
from agent.message import Intent
from agent.surface import looks_like_question

ORDER = re.compile(r"^\s*/ideate\s+", re.IGNORECASE)
_MOVES_ON = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|please|and|the)\s+)*(?:next|go\s+on|continue|skip|more|another(?:\s+(?:one|question))?|further"
    r"|weiter(?:machen)?|mehr(?:\s+davon)?|überspringen|nächste[rs]?|noch\s+eine)"
    r"(?:\s+(?:question|round|one|please|frage|runde|bitte))*\W*$",
    re.IGNORECASE,
)
CHANGES = re.compile(
    r"\b(?:another|different|other|change|switch|new|andere|neue|nächste)\s+(?:the\s+)?(?:technique|technik|method|methode|way|approach)\b",
    re.IGNORECASE,
)
ENDS = re.compile(
    r"^\W*(?!(?:(?:ok(?:ay)?|and|so|now|und|also|jetzt)\b[\s,]*)*(?:is|ist|are\s+you)\b)"  # "is it done?" asks
    r"(?:(?:ok(?:ay)?|i\s+think|ich\s+(?:glaube|denke)|let['’]?s|let\s+us|we|i|it|that['’]?s|i['’]?m|i['’]?d|we['’]?re|are|am|is|now|all|please|so|can|could|should|shall|may|you|want|would|like"
    r"|to|rather|just|for|me|ich|wir|bin|sind|jetzt|bitte|also|lass(?:t)?|uns|können?|möchten?|will|wollen|this|that|it['’]?s|i['’]?ve|ist|habe|no(?=[,.!]))"
    r"\b[\s,]*)*"
    r"(?:stop|done|finish(?:ed)?|enough|end|that['’]?s\s+(?:all|it|enough)|(?:that|this|it)(?:['’]?ll|\s+will|\s+should)\s+do(?!\s+\w)"
    r"|wrap\s+(?:it\s+|this\s+)?up|call\s+it\s+a\s+day|leave\s+it\s+(?:at\s+(?:that|this)|there)"
    r"|(?P<loose>quit|exit|abort|cancel|give\s+up|had\s+enough|aufgeben|abbrechen|(?:nicht|keine\s+lust)\s+mehr"
    r"|(?:do\s+not|don['’]?t)\s+(?:want(?:\s+to)?|feel\s+like)\s+(?:(?:do(?:ing)?|go(?:ing)?\s+on|continu(?:e|ing))\b\s*)?(?:with\s+)?(?:this|it|that)?(?=\s*(?:any\s*more|now)\W*$))"
    r"|fertig|schluss|genug|aufhören|aufgehört|beenden|ende|stopp|das\s+war['’]?s|das\s+reicht|es\s+dabei\s+belassen)\b"
    r"(?:[\s,.!]+(?:here|now|it|this|that|there|for|today|the|session|brainstorm(?:ing)?|with|please|thanks|thank\s+you|up|me|us|any\s*more|then|ok(?:ay)?|jetzt|hier|für|heute"
    r"|damit|danke|bitte|dann|mal|die|das|sitzung))*"
    r"\W*$",
    re.IGNORECASE,
)
# What starts afresh while a session runs, where "use recycled paper" or "give students a discount" are ideas.
AFRESH = re.compile(
    r"/ideate\b|\b(?:brainstorm(?:ing)?|ideate|ideas\s+(?:for|on|about|how)|ways\s+to)\b"
    r"|\bideen\s+(?:für|zu[mr]?|über)\b|^\W*lass(?:t)?\s+uns\b.*\b(?:nachdenken|überlegen|sammeln)\b|^\W*wie\s+könnten\s+wir\b"
    r"|^\W*(?:let'?s|help\s+(?:me|us))\s+think\b|^\W*how\s+(?:could|can|might|should)\s+(?:we|i)\b",
    re.IGNORECASE,
)
# Who asks for ideas, or has none, has not given one.
_ASKS_US = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|so|well|hm+|sorry|please|and|but|now|just|bitte|also|na|ach|ich\s+habe|i(?:['’]ve|\s+have)(?:\s+got)?)\b[\s,.!:]*)*
    (?:(?:absolutely\s+)?no\s+(?:more\s+)?(?:clue|ideas?)(?:\s+(?:at\s+all|yet|left|sorry))?|keine\s+(?:ahnung|idee(?:n)?)(?:\s+mehr)?
    |(?:i\s+)?(?:really\s+)?(?:do\s+not|don['’]?t)\s+know|nothing(?:\s+(?:else|more|yet|at\s+all|comes\s+to\s+(?:my\s+)?mind))?|nichts(?:\s+(?:mehr|weiter))?|(?:i(?:['’]m|\s+am)|we(?:['’]re|\s+are))\s+(?:stuck|out\s+of\s+ideas)
    |you\s+(?:tell\s+me|first|start|go\s+first|do\s+it)|your\s+turn|sag\s+du|du\s+zuerst
    |(?:(?:can|could)\s+)?you\s+(?:suggest|propose|say)\s+(?:something|one|some|a\s+few)|schlag(?:e)?\s+(?:du\s+)?(?:mal\s+)?(?:et)?was\s+vor
    |(?:i\s+)?(?:can['’]?t|cannot)\s+(?:really\s+)?(?:think\s+of|come\s+up\s+with)\s+(?:anything|any(?:\s+ideas?)?|more)(?:\s+else|\s+more)?
    |mir\s+fällt\s+(?:(?:gerade|grad|leider|einfach|dazu|jetzt|echt)\s+)*(?:nichts|nix)(?:\s+(?:mehr|dazu))?\s+ein|ich\s+weiß\s+(?:es\s+)?(?:auch\s+)?nicht
    |(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?(?:(?:give|show|tell|suggest|make)\s+(?:me|us)?\s*|gib\s+mir\s+)
      (?:(?:a|an|some|any|a\s+few|more|your|an?other|one|two|three|four|five|ten|ein\s+paar|noch|eine|zwei|drei|vier|fünf|zehn|\d{1,2})\s+)*(?:good\s+|new\s+|wild\s+)?
      (?:ideas?|examples?|suggestions?|hints?|sparks?|ideen|beispiele?)
    |(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?(?:give|show|tell|add)\s+(?:(?:me|us)\s+)?(?:(?:some|a\s+few|one|two|three|any)\s+(?:more\s+)?of\s+)?yours
    |(?:any|some|(?:some\s+)?more|your)\s+(?:ideas|suggestions|examples|sparks)|(?:do\s+)?you\s+have\s+(?:any|some)\s+ideas
    |(?:please\s+)?(?:help|inspire)\s+(?:me|us)(?:\s+out)?|hilf\s+mir)
    (?:[\s,.;–-]+(?:you\s+tell\s+(?:me|us)|please|then|now|sag\s+du|bitte|mal|help\s+me|(?:give|show)\s+(?:me|us)\s+(?:some|one|an?|a\s+few)(?:\s+more)?
      (?:\s+(?:ideas?|examples?|suggestions?|hints?|sparks?))?))*[\s!?.]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPLAINS = re.compile(
    r"^\W*(?:(?:but|and|sorry|ok(?:ay)?|well)\b[\s,]*)*(?:this|that|it|you)(?:['’]?s|['’]?re|\s+(?:is|are|was))\s+(?:(?:so|really|just|all|a|such|"
    r"complete(?:ly)?|total(?:ly)?)\s+)*(?:stupid|dumb|silly|useless|boring|pointless|crap|shit|bullshit|rubbish|nonsense|annoying|waste\s+of"
    r"\s+time)\W*$"
    r"|^\W*(?:(?:ach|na|also|und|aber|ok)\b[\s,]*)*(?:das|du|es)\s+(?:ist|bist)\s+(?:(?:so|doch|echt|total|einfach|ja|alles|völlig)\s+)*"
    r"(?:blöd|doof|dumm|albern|langweilig|sinnlos|nutzlos|quatsch|unsinn|mist|scheiße|zeitverschwendung)\W*$",
    re.IGNORECASE,
)
WANTS_OURS = re.compile(
    r"(?i)\b(?:give|suggest|show|tell)\s++(?:(?:me|us)\s++)?(?:\w++\s++){0,3}(?:ideas|suggestions|ways)\b|\bcome\s+up\s+with\b"
)
_ALL = (
    r"(?:everything\s+|all\s+|the\s+ideas\s+)?(?:that\s+)?(?:what\s+)?(?:we|i)(?:['’]ve|\s+have)(?:\s+(?:got|collected|said|written))?"
    r"|them(?:\s+all)?|everything|all(?:\s+of\s+(?:it|them))?"
)
_LISTS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|now|please|and|great)\b[\s,]*)*(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|let'?s\s+)?"
    r"(?:(?:summari[sz]e|recap|sum\s+up|list|show|collect|read(?:\s+(?:out|back))?|tell|repeat|give\s+me|what\s+(?:are|were)|which\s+(?:are|were))"
    r"(?:\s+(?:me|us))?(?:\s+(?:a\s+)?(?:list|summary)\s+of)?\s+(?:(?:all\s+)?(?:of\s+)?(?:our|my|the|your|these|those|all)\s+(?:(?:own|collected|best)\s+)?ideas(?:\s+back)?"
    rf"|(?P<loose>{_ALL}))"
    r"|(?:all\s+)?(?:our|my|the|all)\s+ideas|ideas(?=\s+so\s+far)|summari[sz]e|summary|sum\s+up|recap|what\s+(?:do\s+we\s+have|have\s+we(?:\s+(?:got|collected))?)|"
    r"(?:what|how\s+many|which)\s+ideas\s+(?:do|did|have)\s+we\s+(?:have|got|get|collect(?:ed)?|gather(?:ed)?))"
    r"(?:\s+(?:so\s+far|until\s+now|up\s+to\s+now|please|again|yet|now|to\s+(?:me|us)|for\s+(?:me|us)))*\W*$"
    r"|^\W*(?:(?:ok|bitte|so|jetzt)\b[\s,]*)*(?:(?:zeig|nenn|gib)e?\s+(?:mir|uns)\s+(?:bitte\s+)?(?:alle|unsere|meine|die)\s+(?:bisherigen\s+)?ideen"
    r"|fass(?:e|t)?\s+(?:(?:alles|das|die\s+ideen|unsere\s+ideen|alle\s+ideen)\s+)?zusammen|(?:(?:mach|gib)e?\s+(?:(?:mir|uns)\s+)?(?:bitte\s+)?eine\s+)?zusammenfassung|was\s+haben\s+wir(?:\s+(?:bisher|schon|bis\s+jetzt))?"
    r"|(?:welche|wie\s+viele)\s+ideen\s+haben\s+wir(?:\s+(?:bisher|schon|bis\s+jetzt))?)(?:\s+bitte)?\W*$",
    re.IGNORECASE,
)
# A call for a person, and a wish for ideas with a topic of its own: among others in a session neither is an idea.
_CALLS = re.compile(
    r"^\W*(?:(?:please|ok(?:ay)?|hey|sorry|i|we|can|could|may|let|want|need|would|like|to|me|us|just|rather)\b[\s,']*)*"
    r"(?:(?:talk|speak|chat)\s+(?:to|with)|connect\s+(?:me|us)\s+(?:to|with)|get\s+me)\s+(?:(?:a|an|some|the)\s+)?(?:real\s+|actual\s+)?"
    r"(?:human(?:\s+being)?|person|agent|somebody|someone)\b(?!\s+(?:first|instead|each|every|before|after|from)\b)|^\W*(?:a\s+)?human(?:\s+please)?\W*$"
    r"|^\W*lass(?:t)?\s+mich\b.*\b(?:mensch(?:en)?|person|jemandem?)\b.*\b(?:reden|sprechen)\b",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|great|cool|super|perfect|oh|many|so|vielen|lieben)\b[\s,!.]*)*(?:thanks?(?:\s+(?:you|a\s+lot|so\s+much|very\s+much))?|cheers|danke(?:\s+(?:dir|sehr|schön))?|dank)\b"
    r"(?:[\s,!.]*(?:that|this|it|das|dies)(?:['’]s|\s+(?:is|was|helps|helped|ist|war|hilft|hat))?"
    r"(?:\s+(?:(?:very|really|so|a\s+lot|a\s+great|great|good|helpful|useful|nice|help|much|sehr|hilfreich|gut|geholfen|super|mir)\b\s*)+)?)?\W*$",
    re.IGNORECASE,
)
_WISHES = re.compile(
    r"^\W*(?:(?:please|bitte|ok(?:ay)?|so|hey|now|can|could|you|kannst|du)\b[\s,]*)*"
    r"(?:(?:i|we)\s+(?:really\s+)?(?:need|want|are\s+looking\s+for)|i['’]?m\s+looking\s+for|(?:ich|wir)\s+(?:brauchen?|suchen?|hätten?\s+gern)"
    r"|(?:give|show|tell|suggest)(?:\s+(?:me|us))?|gib\s+(?:mir|uns)|hilf\s+(?:mir|uns))\s+"
    r"(?:(?:a|an|some|any|few|more|good|new|the|ten|five|three|\d+|ein|eine|paar|gute|neue|noch|mehr|bei|mit|with|for)\s+)*"
    r"(?:ideas?|suggestions?|ideen?|vorschläge|einfälle)\b"
    r"|^\W*(?:let['’]?s|lass(?:t)?\s+uns)\s+(?:brainstorm\w*|ideen\b)",
    re.IGNORECASE,
)


# "undo", "delete the last one", "remove idea 2": of the ideas that were given
_UNDOES = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|oh|no|sorry|oops|please|and|can|could|you|bitte|nein|ach|kannst|du
      |(?:that|this|it|das)\s+(?:was|war)\s+(?:just\s+|only\s+|nur\s+)?(?:an?\s+|eine?\s+)?(?:slip|mistake|typo|error|versehen|fehler|vertipper)
      )\b[\s,.!;:]*)*
    (?:undo|revert|take\s+(?:that|this|it)\s+back|not\s+that(?:\s+one)?|rückgängig(?:\s+machen)?|mach(?:e)?\s+(?:das|es)\s+rückgängig|nimm\s+(?:das|es|die\s+letzte(?:\s+idee)?)\s+zurück
    |(?:delete|remove|drop|scratch|erase|cross\s+out|take\s+back|forget|lösche?|streiche?|entferne?|vergiss)\s+
      (?:that|this|it|das|(?:the|my|our|die|meine|unsere)\s+(?:last|latest|previous|letzte)(?:\s+(?:one|idea|idee))?
      |(?:(?:the|my|our|die|meine|that|this)\s+)?(?:idea|idee|number|nummer|no\.?|nr\.?|\#)?\s*(?:number\s+|nummer\s+|\#)?(?P<number>\d{1,3})
      |(?:the|die)\s+(?P<place>first|second|third|fourth|fifth|erste|zweite|dritte|vierte|fünfte)(?:\s+(?:one|idea|idee))?)
    )(?:[\s,]+(?:that|this|it|one|please|bitte|wieder|(?:the|my)\s+last(?:\s+(?:one|idea))?))*[\s!?.]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_HESITATES = re.compile(
    r"^\W*(?:(?:h+m+|m+h+m+|u+h+m*|e+r+m*|ä+h+m*|well|wait|hold\s+on|hang\s+on|one\s+(?:moment|second|sec)|a\s+moment|just\s+a\s+(?:moment|second|sec|minute)"
    r"|moment(?:\s+mal)?|warte(?:\s+mal)?|let\s+me\s+think|i['’]?m\s+thinking|lass\s+mich\s+(?:mal\s+)?(?:über|nach)(?:legen|denken)|please|bitte|ok(?:ay)?|so|i\s+see)\b[\s,.!…]*)+$",
    re.IGNORECASE,
)
_NODS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|k|alright|all\s+right|fine|sure|i\s+see|got\s+it|cool|good|yes|yep|ja|gut|alles\s+klar|klar|verstehe|verstanden|passt)\b[\s,.!]*)+$",
    re.IGNORECASE,
)
_ASKS_QUESTION = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|sorry|wait|and|so|please|was|nochmal)\b[\s,.!]*)*(?:(?:can|could|would)\s+you\s+(?:please\s+)?)?"
    r"(?:(?:what|which)\s+(?:was|is|were|are)\s+(?:the|your|our|this)\s+(?:\w+\s+)?(?:questions?|task|topic)|(?:repeat|say|ask|show)\s+(?:me\s+)?(?:the|your|that|it)\s*(?:question)?\s*again"
    r"|repeat\s+(?:the|your|that)\s+question|(?:was|wie)\s+(?:war|ist|lautet|lautete)\s+(?:noch\s*mal\s+)?(?:die|deine)\s+frage|wiederhol(?:e)?\s+(?:bitte\s+)?die\s+frage)"
    r"(?:\s+(?:again|now|please|nochmal|noch\s+mal|bitte|noch))*\W*$",
    re.IGNORECASE,
)
_FILLER = (
    r"^\W*(?:(?:ok(?:ay)?|so|please|and|but|now|hey|hm+|well|then|great|can|could|would|shall|should|you|we|i|i['’]d"
    r"|i['’]ll|let['’]?s|to|like|want|just|also|und|aber|bitte"
    r"|jetzt|dann|ich|wir|kannst|können|du|mal|lass|uns)\b[\s,.!:]*)*"
)
_AT_END = (
    r"(?:[\s,]+(?:please|now|then|again|together|instead|for\s+(?:me"
    r"|us)|best|most|first|bitte|jetzt|zusammen|mal|zuerst|am\s+besten))*[\s!?.]*$"
)
# Neither an end nor an idea to take back: who says it may mean either, so we say how to do both.
_LETS_GO = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|oh|ah|no|well|sorry|just|please|let['’]?s|lass(?:t)?\s+uns|ach|na|nein|also|komm)\b[\s,.!]*)*(?:forget\s+(?:about\s+)?(?:it|that|this)(?:\s+all)?"
    r"|forget\s+(?:everything|all\s+(?:of\s+)?(?:this|that))|never\s*mind|nvm|leave\s+it(?:\s+be)?|drop\s+(?:it|this|that)|do\s+something\s+else|(?:talk|speak)\s+about\s+something\s+else|change\s+the\s+(?:subject|topic)"
    r"|no\s+matter|skip\s+it|doesn['’]?t\s+matter|not\s+important|vergiss\s+(?:es|das)|vergiss['’]?s|egal|ist\s+egal|schon\s+gut|lass\s+(?:es|gut\s+sein|mal)"
    r"|macht\s+nichts|(?:et)?was\s+anderes(?:\s+machen)?)[\s!.,]*(?:(?:then|now|please|thanks|thank\s+you|dann|danke|jetzt)\b[\s!.,]*)*$",
    re.IGNORECASE,
)
_MERGES = re.compile(
    rf"{_FILLER}(?:(?:merge|combine|join|unite|put|fold|verbinde|kombiniere?|vereine|fass(?:e|t)?|leg(?:e)?)\s+)(?:(?:the|die|ideas?|ideen?|numbers?|nummern?|nos?\.?|nr\.?)\s+)*"
    rf"#?(?P<one>\d{{1,3}})\s*(?:and|with|und|mit|\+|&|,)\s*(?:(?:idea|idee|number|nummer)\s+)?#?(?P<other>\d{{1,3}}){_AT_END}",
    re.IGNORECASE,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth"), ("erste", "zweite", "dritte", "vierte", "fünfte")
_NUMBERED = (
    r"(?:(?:the\s+|die\s+)?(?:idea|idee|number|nummer|no\.?|nr\.?)\s*#?|#)?(?P<number>\d{1,3})(?=\W|$)"
    r"|(?:the|die)\s+(?P<place>first|second|third|fourth|fifth|last|erste|zweite|dritte|vierte|fünfte|letzte)(?:\s+(?:one|idea|idee))?"
)
_PICKS = re.compile(
    rf"{_FILLER}(?:(?:take|pick|choose|go\s+(?:with|for|on\s+with)|prefer|like|love|try|vote\s+for|do|use|continue\s+with|nehme?n?|wählen?|mag|probieren?|will)\s+)?"
    rf"(?:{_NUMBERED}){_AT_END}",
    re.IGNORECASE,
)
_BETTER = (
    r"(?:(?:(?:a\s+(?:bit|little)|much|even|noch|viel|etwas"
    r"|ein\s+bisschen)\s+)*(?:(?:more|less|mehr|weniger)\s+[^\W\d_]+"
    r"|[^\W\d_]{3,}er(?:e[sn]?)?|fun|funny|catchy|witzig|lustig))"
)
_BENDS = re.compile(
    rf"{_FILLER}(?:make|mach(?:e|t|en)?)\s*(?:it|this|that|them|these|those|the\s+(?:ideas?|names?|last\s+one)|es|das|sie|['’]?s|die\s+ideen?)\s+{_BETTER}{_AT_END}"
    rf"|{_FILLER}(?:(?:something|etwas|was)\s+)?(?:(?:more|less|a\s+bit|much|even|noch|viel)\s+)*(?:funnier|fun|funny|wilder|crazier|bolder|cheaper|simpler|weirder|catchier"
    rf"|realistic|practical|creative|original|serious|lustiger(?:es)?|verrückter(?:es)?|wilderes|günstiger(?:es)?|kreativer(?:es)?|witziger(?:es)?){_AT_END}",
    re.IGNORECASE,
)
_GROUPS = re.compile(
    rf"{_FILLER}(?:(?:group|cluster|sort|order|organi[sz]e|gruppiere?|ordne?|sortiere?)\s+(?:(?:all\s+)?(?:the|our|my|these|die|unsere|meine)\s+(?:ideas?|list|ideen|liste)"
    rf"|them|these|those|everything|sie|alles)(?:\s+(?:all|by\s+(?:theme|themes|topic|topics|likeness|similarity)|into\s+(?:groups|clusters|themes)|nach\s+themen|in\s+gruppen))*"
    rf"|(?:put|merge|bring|leg(?:e)?|find)\s+(?:the\s+|all\s+|die\s+)*(?:similar|like|alike|same|ähnliche[ns]?)\s*(?:ideas|ones|ideen)?(?:\s+(?:into\s+groups|zusammen))?"
    rf"|(?:which|what)\s+(?:ones\s+|ideas\s+|of\s+them\s+)?(?:are\s+(?:alike|similar|the\s+same)|belong\s+together|go\s+together)|group|groups|gruppen|gruppieren"
    rf"|(?:die|unsere|meine|alle)\s+ideen\s+(?:(?:bitte|mal)\s+)*(?:gruppieren|sortieren|ordnen)){_AT_END}",
    re.IGNORECASE,
)
_SHOWS = re.compile(
    rf"{_FILLER}(?:show|read|see|view|zeig(?:e|t)?)\s+(?:(?:me|us|mir|uns)\s+)?(?:the|our|my|die|unsere|meine)\s+(?:list|board|liste){_AT_END}",
    re.IGNORECASE,
)
_VOTES = re.compile(
    rf"{_FILLER}(?:vote|(?:vote|stimme)(?:\s+(?:for|für))?(?:[\s,]+(?:ideas?|numbers?|ideen?|nummer|and|und))*(?:[\s,]+(?:(?:and|und)\s+)?#?\d{{1,3}})+|a\s+vote|voting|rank(?:\s+(?:them|the\s+ideas|these))?|abstimmen|stimm(?:en|t)\s+(?:wir\s+)?ab|how\s+(?:do|should|can)\s+we\s+(?:decide|choose|vote)|decide"
    rf"|(?:which|what)\s+(?:one|idea|of\s+(?:these|them|those))?\s*(?:is|would\s+be|do\s+you\s+(?:like|prefer|think\s+is))\s*(?:the\s+)?(?:best|favou?rite|better)?"
    rf"|what\s+do\s+you\s+think(?:\s+of\s+(?:them|these|our\s+ideas))?|welche\s+(?:idee\s+|davon\s+)?(?:ist|findest\s+du)\s+(?:die\s+|am\s+)?best(?:e|en)"
    rf"|wie\s+entscheiden\s+wir(?:\s+uns)?){_AT_END}",
    re.IGNORECASE,
)
_SAVES = re.compile(
    rf"{_FILLER}(?:save|export|keep|download|copy|store|print|speicher(?:e|n)?|exportier(?:e|en)?|sicher(?:e|n)?)"
    rf"(?:\s+(?:it|this|that|them|all|(?:the|our|my|these|die|unsere|meine)\s+(?:ideas?|list|results?|ideen|liste)|alles|das|es|sie))?"
    rf"(?:\s+(?:(?:as|to|in|als)\s+)?(?:an?\s+|eine?\s+)?(?:md|csv|json|html|png|pdf|file|datei))?{_AT_END}",
    re.IGNORECASE,
)
_RESTARTS = re.compile(
    rf"{_FILLER}(?:start|begin|try|fang(?:en)?|beginn(?:en)?)?\s*(?:over"
    rf"|afresh|anew|(?:all\s+over\s+|over\s+)?again(?<=start again)"
    rf"|from\s+scratch|restart|reset|(?:noch\s*mal\s+)?(?:ganz\s+)?von\s+vorn(?:e)?"
    rf"|neu\s+anfangen|neustart)(?:\s+(?:an|beginnen|anfangen))?{_AT_END}",
    re.IGNORECASE,
)
_BACK_TO = re.compile(
    rf"{_FILLER}(?:(?:go|get|come|return)\s+)?(?:back\s+)?(?:to|zurück\s+zu[mr]?|continue|resume|weiter\s+mit(?:\s+dem|\s+der)?)\s*(?:the|our|my|dem|den|unserem|unserer)?\s*"
    rf"(?:brainstorm(?:ing)?|ideas|topic|session|ideen|thema|sitzung){_AT_END}|^\W*(?:(?:ok(?:ay)?|so|also)\b\W*)*(?:where\s+were\s+we|wo\s+waren\s+wir)\W*$",
    re.IGNORECASE,
)
# said of an idea: what somebody thinks of one is none
_DISLIKES = re.compile(
    r"^\W*(?:(?:no|hm+|but|well|ok(?:ay)?|i\s+think|nein|ach)\b[\s,.!]*)*(?:i\s+(?:really\s+)?(?:do\s+not|don['’]?t|hate|dislike)\s+(?:really\s+)?(?:like\s+)?"
    r"(?:that|this|it|any\s+of\s+(?:these|those|them)|these|those|them)(?:\s+(?:ones?|ideas?|questions?|techniques?|at\s+all))*"
    r"|(?:i\s+(?:do\s+not|don['’]?t)\s+like|i\s+(?:hate|dislike))\s+(?:(?:the\s+)?(?:idea|number)\s*#?\d{1,3}|(?:the|my)\s+(?:first|second|third|fourth|last|other)(?:\s+(?:one|idea))?)"
    r"|none\s+of\s+(?:these|those|them|it)\s+(?:really\s+)?(?:helps?|works?|is\s+\w+|are\s+(?:\w+\s+)?\w+)"
    r"|(?:das|die|diese)\s+(?:(?:erste|zweite|dritte|letzte)\s+)?(?:idee\s+|frage\s+)?(?:gefällt|mag)\s+(?:mir|ich)\s+(?:gar\s+|überhaupt\s+)?nicht)\W*$",
    re.IGNORECASE,
)
_LONGEST_ORDER = 100  # characters: what is longer says something
Order = Literal[
    "undo",
    "reword",
    "again",
    "wait",
    "dislike",
    "why",
    "leave",
    "merge",
    "group",
    "pick",
    "bend",
    "vote",
    "save",
    "restart",
    "nod",
]
_ORDERS: tuple[tuple[Order, tuple[re.Pattern[str], ...]], ...] = (
    ("leave", (_LETS_GO,)),
    ("undo", (_UNDOES,)),
    ("again", (_ASKS_QUESTION, _BACK_TO)),
    ("nod", (_NODS,)),
    ("wait", (_HESITATES,)),
    ("dislike", (_DISLIKES,)),
    ("merge", (_MERGES,)),
    ("group", (_GROUPS,)),
    ("pick", (_PICKS,)),
    ("restart", (_RESTARTS,)),
    ("save", (_SAVES, _SHOWS)),
    ("vote", (_VOTES,)),
)


def handles(text: str) -> Order | None:
    """What a message in a session wants done where it is no idea: "undo", "translate that", "why?"."""
    if len(text) > _LONGEST_ORDER:
        return None
    for order, forms in _ORDERS:
        if any(form.match(text) for form in forms):
            return order
    back = looks_back(text)
    if back is Back.REWORD:
        return "reword"
    if back in (Back.WHY, Back.SURE, Back.SOURCE):
        return "why"
    return "bend" if _BENDS.match(text) else None


def lets_go(text: str) -> bool:
    """Whether somebody lets a matter rest: "never mind"."""
    return len(text) <= _LONGEST_ORDER and _LETS_GO.match(text) is not None


def restarts(text: str) -> bool:
    """Whether somebody wants to begin anew: "start over"."""
    return len(text) <= _LONGEST_ORDER and _RESTARTS.match(text) is not None


def merged(text: str, ideas: Sequence[str]) -> tuple[int, int] | None:
    """The places of the two ideas that "merge 1 and 3" puts together; None where there is no such order or idea."""
    found = _MERGES.match(text)
    if found is None:
        return None
    one, other = sorted((int(found["one"]) - 1, int(found["other"]) - 1))
    return (one, other) if 0 <= one < other < len(ideas) else None


def picked(text: str, ideas: Sequence[str]) -> int | None:
    """The place of the idea that somebody would take: "number 2", "the last one"; None where there is none such."""
    found = _PICKS.match(text)
    return None if found is None else _place(found, ideas)


def _place(found: re.Match[str], ideas: Sequence[str]) -> int | None:
    """Which idea a number or an ordinal names; without either the last."""
    named_so = (found["place"] or "").lower()
    ordinal = next((row.index(named_so) for row in _ORDINALS if named_so in row), len(ideas) - 1)
    place = int(found["number"]) - 1 if found["number"] else ordinal
    return place if 0 <= place < len(ideas) else None


def undone(text: str, ideas: Sequence[str]) -> int | None:
    """The place of the idea that "undo" or "remove idea 2" takes back; None where there is no such order or idea."""
    found = _UNDOES.match(text)
    return None if found is None or _LETS_GO.match(text) else _place(found, ideas)


def contributes(message: str) -> bool:
    """Whether a message can add to a technique: any that is no question, and proposals ("what if we …?")."""
    return not looks_like_question(message) or proposes(message)


def asks_us(message: str) -> bool:
    """Whether somebody in a session has no idea, or asks for ours: "no idea, you tell me"."""
    return _ASKS_US.match(message) is not None


def lists(message: str) -> bool:
    """Whether a message asks for the ideas so far: "summarise our ideas"."""
    return _LISTS.match(message) is not None


def lists_all(message: str) -> bool:
    """Whether a message asks for the ideas without naming them, as it may for anything: "list them"."""
    found = _LISTS.match(message)
    return found is not None and found["loose"] is not None


def ends_loosely(message: str) -> bool:
    """Whether words that end a brainstorm say something else where none is on: "I've had enough", "cancel"."""
    found = ENDS.match(message)
    return found is not None and found["loose"] is not None


def shows(text: str) -> bool:
    """Whether a message among ideas asks for them by their list: "show me the list"."""
    return len(text) <= _LONGEST_ORDER and _SHOWS.match(text) is not None


def steers(text: str) -> bool:
    """Whether a message only moves a session on, ends it, or asks for its ideas: "next", "that's all"."""
    return bool(_MOVES_ON.match(text) or ENDS.match(text) or lists(text))


def is_talk(text: str) -> bool:
    """Whether a message among others is about the thinking, or to us, and no idea: "next", "no clue"."""
    is_said_to_us = _is_to_us(text) or rejects(text) or _COMPLAINS.match(text)
    return bool(is_said_to_us or steers(text) or handles(text) or asks_us(text) or _WISHES.match(text))


def _is_to_us(text: str) -> bool:
    """Whether a message calls for a person, or only says thanks."""
    return bool(_CALLS.match(text) or _THANKS.match(text)) or german.intent_of(text) is Intent.HUMAN


def wishes(text: str) -> bool:
    """Whether somebody begins anew with a topic of their own: "let's brainstorm names", "ich brauche Ideen für …"."""
    return AFRESH.search(text) is not None or _WISHES.match(text) is not None


def is_order(text: str) -> bool:
    """Whether a message says how to go on, or what it thinks of that, and so is no idea itself."""
    text = ORDER.sub("", text)
    steered = _MOVES_ON.match(text) or CHANGES.search(text) or ENDS.match(text) or lists(text) or named(text)
    if about(text) is not None or handles(text) is not None:
        return True
    return bool(steered or asks_us(text) or rejects(text) or _COMPLAINS.match(text) or _is_to_us(text))
