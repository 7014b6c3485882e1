"""Words that the trained reader knows beforehand: those of grammar, and those that say the opposite of each other."""

GRAMMAR = frozenset(
    "a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is "
    "it its many may me might more most much must my of on one or our please she should so some such than that the "
    "their them then there these they this those to us use used was we were what when where which who whom whose why "
    "will with would you your der die das ein eine und ist sind wie wer wo wann ich wir".split()
)
_PAIRS = (
    "first last|before after|largest smallest|biggest smallest|most least|more less|more fewer|increase decrease|"
    "increased decreased|north south|northern southern|east west|eastern western|high low|higher lower|"
    "highest lowest|early late|earlier later|earliest latest|old new|older newer|oldest newest|oldest youngest|"
    "begin end|began ended|start stop|started stopped|won lost|win lose|minimum maximum|same different|"
    "always never|above below|inside outside|male female|men women|rich poor|accept reject|accepted rejected|"
    "allow forbid|allowed prohibited|father mother|son daughter|brother sister|buy sell|bought sold|add remove|"
    "added removed|include exclude|included excluded|strong weak|long short|longest shortest|longer shorter|"
    "large small|larger smaller|big small|major minor|positive negative|public private|good bad|best worst|"
    "better worse|common rare|popular unpopular|similar unlike|left right|top bottom|upper lower|near far|"
    "nearest farthest|open close|opened closed|support oppose|supported opposed|success failure|"
    "possible impossible|able unable|legal illegal|known unknown|with without|over under|up down|gain lose|"
    "gained lost|rise fall|rose fell|enter leave|entered left|arrive depart|arrived departed|born killed|"
    "create destroy|created destroyed|built demolished|hot cold|warm cool|light dark|fast slow|faster slower|"
    "heavy light|wet dry|hard soft|young old|easy difficult|internal external|domestic foreign|national local|"
    "ancient modern|import export|teach learn|attack defend|attacked defended|agree disagree|agreed disagreed|"
    "love hate|like dislike|summer winter|day night|morning evening|king queen|husband wife|ally enemy|"
    "majority minority|cause prevent|caused prevented|require forbid|required optional|during after|join leave|"
    "joined left|encourage discourage|encouraged discouraged|approve refuse|approved refused|appoint dismiss|"
    "appointed dismissed|find lose|found lost"
)
_SPLIT = [tuple(pair.split()) for pair in _PAIRS.split("|")]
OPPOSITES: dict[str, frozenset[str]] = {
    word: frozenset({one for pair in _SPLIT if word in pair for one in pair} - {word})
    for word in {word for pair in _SPLIT for word in pair}
}
