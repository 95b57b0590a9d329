"""Names, words, sentences and numbers for exercises, and how people write them in prose."""

from functools import cache
from importlib.resources import files
from random import Random
from typing import Any


def _split(text: str) -> list[str]:
    return text.split()


_LIST_NAMES = _split(
    """
    nums numbers values data items scores prices ages temps temperatures grades marks points
    weights heights lengths sizes counts amounts digits integers measurements readings samples
    results entries costs sales steps distances speeds times years days hours minutes votes
    ranks levels ratings bills orders totals primes evens odds stock profits expenses salaries
    wages rates lst arr list1 my_list my_numbers numbers_list num_list nums1 seq vals series a b
    c x v xs first payments budgets coins dice rolls laps rainfall pages visits clicks goals
    runs cards tickets seats quantities offers bids shifts floors rooms boxes pieces units
    steps_taken daily_totals
    """
)
_WORD_LIST_NAMES = _split(
    """
    words names fruits animals colors colours cities countries items strings foods pets friends
    students people tools toys books movies songs flowers vegetables drinks cars languages
    subjects sports planets birds trees letters tags labels keys tokens terms titles months days
    seasons guests players teams users members shapes instruments places streets my_words
    word_list name_list strs list1 lst ingredients groceries shopping tasks todo chores topics
    categories brands models cakes desserts hobbies jobs plants gifts clothes rivers
    """
)
_TEXT_NAMES = _split(
    """
    text sentence s phrase message line string note quote title msg input_text str1 my_string
    paragraph comment greeting caption motto slogan headline txt content description saying t
    line1 words_text letter_text reply answer_text story review tweet poem lyric summary
    """
)
_WORD_NAMES = _split(
    """
    word name s w city animal fruit color language country key title term label text username
    first_name last_name str1 greeting code token tag string item password surname nickname food
    pet brand river planet my_word day month subject street
    """
)
_NUMBER_NAMES = _split(
    """
    x y z a b n m k num number value count total age price width height length radius score
    speed distance weight size limit start end year day month hours minutes seconds temperature
    amount balance salary budget cost quantity side base p q i j num1 num2 first second number1
    number2 val level depth points lives rate discount tax target threshold step offset c d t u
    v w h r apples oranges books students people coins miles items pages rooms kilometers money
    savings population stock goals my_number bill tip volume mass percent rows cols rank
    duration wage
    """
)
_DICT_NAMES = _split(
    """
    ages prices scores stock inventory grades phone_book d data capitals counts points salaries
    person student population votes menu config settings codes colors weights heights shop
    basket cart pets budget expenses ratings quantities contacts info lookup table my_dict dict1
    book car profile products fruits marks sales score_map animals friends legs calories goals
    distances hours wins rooms rates levels records orders library warehouse
    """
)
_RESULT_NAMES = _split(
    """
    result res answer output out ans r value total new_list final new_value found picked chosen
    kept rest part stuff tmp temp outcome extra other updated changed new_text copy collected
    collection selection subset group final_list new_items done finished best top score
    num_found total_count n_items my_result my_answer y z t u v w q p e f g h first_result
    current summary report reply info value2 list2 list_b b2 new_words new_numbers solution
    target modified processed cleaned transformed combined merged final_result filtered
    filtered_list res1 res2 out1 the_answer calc calculated computed mid ready prepared fixed
    """
)
_PEOPLE = _split(
    """
    Alice Bob Carol Dave Emma Frank Grace Henry Ivan Julia Kate Leo Maria Nina Oscar Paul Quinn
    Rosa Sam Tom Uma Victor Wendy Xena Yusuf Zoe Anna Ben Clara Dan Eva Felix Gina Hugo Iris
    Jack Karl Liam Mia Noah Olga Peter Rita Sara Tim Ann Amy Max Lily Lucas Sofia Omar Priya
    Chen Yuki Diego Fatima Lars Ingrid Marco Elena Jonas Ravi Mei Kofi Amara Tara Joe Jim Kim
    Lee Ada Alan
    """
)
_CITIES = _split(
    """
    Paris London Rome Berlin Madrid Tokyo Oslo Lima Cairo Delhi Athens Vienna Prague Dublin
    Lisbon Boston Chicago Sydney Moscow Seoul Nairobi Quito Toronto Zurich Geneva Milan Venice
    Denver Austin Dallas Bern Riga Warsaw Kyoto
    """
)
_BLOCKED = frozenset(
    _split("""
    and as in is or not for if def del len sum max min list str int set dict map print sorted
    abs any all bool float range round type zip id input iter next ord chr pow bin hex dir eval
    np it them the to with of by else from import class return while try pass math string an
    random are this that each hash help vars open lambda with date datetime timedelta json csv io
    re itertools statistics self
    """)
)
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"


@cache
def words() -> tuple[str, ...]:
    """The pool of lower-case English words."""
    text = files("jaxformer.data.exercises").joinpath("words.txt").read_text("utf-8")
    return tuple(text.split())


def nonsense(rng: Random) -> str:
    """A pronounceable word that does not exist."""
    out = []
    for _ in range(rng.choice((1, 2, 2, 2, 3))):
        out.append(rng.choice(_CONSONANTS) + rng.choice(_VOWELS))
    return "".join(out) + rng.choice(("", "", rng.choice(_CONSONANTS)))


def _made_up_name(rng: Random) -> str:
    roll = rng.random()
    if roll < 0.3:
        return nonsense(rng)
    if roll < 0.55:
        return f"{rng.choice(words())}_{rng.choice(words())}"
    if roll < 0.7:
        return f"{rng.choice(words())}{rng.randint(1, 9)}"
    if roll < 0.78:
        return rng.choice(words()) + rng.choice(words()).capitalize()
    if roll < 0.84:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 4)))
    return rng.choice(words())


_POOLS = {
    "nums": _LIST_NAMES,
    "strs": _WORD_LIST_NAMES,
    "text": _TEXT_NAMES,
    "word": _WORD_NAMES,
    "num": _NUMBER_NAMES,
    "dict": _DICT_NAMES,
    "result": _RESULT_NAMES,
}


def fresh_name(rng: Random, pool: str, taken: frozenset[str], preferred: str = "") -> str:
    """A new variable name.

    Args:
        rng: The source of chance.
        pool: Which pool suits the value: nums, strs, text, word, num, dict or result.
        taken: Names that are in use.
        preferred: Names that suit this value best, separated by spaces.

    Returns:
        A name outside `taken`; now and then a made-up one.
    """
    while True:
        roll = rng.random()
        if preferred and roll < 0.45:
            name = rng.choice(preferred.split())
        elif roll < 0.78:
            name = rng.choice(_POOLS[pool])
        else:
            name = _made_up_name(rng)
        if name not in taken and name not in _BLOCKED and name.isidentifier():
            return name


def default_name(names: str, taken: frozenset[str]) -> str:
    """The first of several names that is free."""
    for name in (*names.split(), "result", "answer", "result2"):
        if name not in taken:
            return name
    return "value3"


def integer(rng: Random) -> int:
    """A number as people use in examples: mostly small."""
    roll = rng.random()
    if roll < 0.5:
        return rng.randint(1, 20)
    if roll < 0.8:
        return rng.randint(1, 100)
    if roll < 0.88:
        return rng.randint(-20, 0)
    if roll < 0.96:
        return rng.randint(100, 999)
    return rng.randint(1000, 9999)


def real(rng: Random) -> float:
    """A decimal number with one or two places."""
    return round(rng.uniform(0, rng.choice((5, 20, 100))), rng.choice((1, 1, 2)))


def integers(rng: Random) -> list[int]:
    """A short list of whole numbers, sometimes with repeats or negatives."""
    size = rng.choice((3, 4, 4, 5, 5, 5, 6, 6, 7, 8))
    roll = rng.random()
    if roll < 0.4:
        return [rng.randint(1, 20) for _ in range(size)]
    if roll < 0.55:
        return [rng.randint(0, 9) for _ in range(size)]
    if roll < 0.75:
        return [rng.randint(1, 100) for _ in range(size)]
    if roll < 0.88:
        return [rng.randint(-15, 15) for _ in range(size)]
    if roll < 0.92:
        return list(range(1, size + 1))
    if roll < 0.96:
        step = rng.choice((5, 10, 10, 100))
        return [step * rng.randint(1, 9) for _ in range(size)]
    return [rng.randint(100, 1000) for _ in range(size)]


def reals(rng: Random) -> list[float]:
    """A short list of decimal numbers."""
    return [real(rng) for _ in range(rng.randint(3, 5))]


def letters_only(rng: Random) -> str:
    """A word, sometimes capitalised, sometimes made up."""
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(words())
    if roll < 0.72:
        return nonsense(rng)
    if roll < 0.82:
        return rng.choice(words()).capitalize()
    if roll < 0.88:
        return rng.choice(words()).upper()
    return rng.choice(_PEOPLE if roll < 0.95 else _CITIES)


def word(rng: Random) -> str:
    """A single word or code, without spaces."""
    roll = rng.random()
    if roll < 0.9:
        return letters_only(rng)
    if roll < 0.95:
        return rng.choice(words()) + str(rng.randint(1, 99))
    return rng.choice(("-", "_", "")).join(rng.choice(words()) for _ in range(2))


def strings(rng: Random) -> tuple[list[str], str]:
    """A short list of words and what each of them is: a word, name, city …"""
    size = rng.choice((3, 3, 4, 4, 5, 5, 6))
    roll = rng.random()
    if roll < 0.5:
        return [rng.choice(words()[:420]) for _ in range(size)], "word"
    if roll < 0.68:
        return [rng.choice(words()) for _ in range(size)], "word"
    if roll < 0.84:
        return [rng.choice(_PEOPLE) for _ in range(size)], "name"
    if roll < 0.9:
        return [rng.choice(_CITIES) for _ in range(size)], "city"
    if roll < 0.95:
        return [letters_only(rng) for _ in range(size)], "word"
    return [rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(size)], "letter"


_SENTENCES = (
    "the {a} {n} {v}s over the {a} {n}",
    "{p} has {k} {n}s and a {a} {n}",
    "I {v} the {a} {n}",
    "{P} and {P} {v} in {C}",
    "a {a} {n} and a {a} {n}",
    "My {n} is {a}",
    "we {v} every {n}",
    "{v} the {n} and {v} the {n}",
    "Hello {n}",
    "Hello, {P}!",
    "the {n} is {a}, the {n} is {a}",
    "{w} {w} {w}",
    "{w} {w} {w} {w}",
    "{w} {w}",
    "{w} {w} {w} {w} {w}",
    "{P} lives in {C}",
    "{W} {w} {w}",
    "There are {k} {n}s in the {n}.",
    "Do you {v} the {n}?",
    "The {a} {n} will {v}.",
    "it is a {a} {n}",
    "one {n} two {n}s",
    "{n} {n} {m} {n} {m}",
    "to {v} or not to {v}",
    "{W} {W}",
    "{x} {x} {x}",
)
_NOUN_SPAN = 300
_ADJECTIVES = _split(
    """
    happy sad big small tall short fast slow hot cold warm loud quiet bright dark soft hard
    sweet fresh old young new brave calm clever gentle lazy proud shy tiny huge wide deep red
    blue green quick brown little nice
    """
)
_VERBS = _split(
    """
    jump walk see like love find read draw paint build climb want need play follow remember
    watch keep visit know open help
    """
)


def sentence(rng: Random) -> str:
    """A short phrase or sentence of several words."""
    pattern = rng.choice(_SENTENCES)
    repeated = rng.choice(words()[:_NOUN_SPAN])
    out = []
    for piece in pattern.replace("}", "{").split("{"):
        match piece:
            case "a":
                out.append(rng.choice(_ADJECTIVES))
            case "n":
                out.append(rng.choice(words()[:_NOUN_SPAN]))
            case "m":
                out.append(repeated)
            case "v":
                out.append(rng.choice(_VERBS))
            case "p" | "P":
                out.append(rng.choice(_PEOPLE))
            case "C":
                out.append(rng.choice(_CITIES))
            case "k":
                out.append(str(rng.randint(2, 30)))
            case "w":
                out.append(rng.choice(words()))
            case "W":
                out.append(rng.choice(words()).capitalize())
            case "x":
                out.append(nonsense(rng))
            case _:
                out.append(piece)
    return "".join(out)


def mapping(rng: Random) -> dict[str, Any]:
    """A small dictionary from words to numbers, or to words."""
    size = rng.choice((2, 3, 3, 3, 4, 4))
    source = rng.choice((_PEOPLE, words()[:420], words()[:420], list("abcdefghxyz")))
    keys = rng.sample(source, size)
    roll = rng.random()
    if roll < 0.8:
        top = rng.choice((10, 50, 100))
        return {key: rng.randint(1, top) for key in keys}
    if roll < 0.9:
        return {key: real(rng) for key in keys}
    return {key: letters_only(rng) for key in keys}


def person(rng: Random) -> str:
    """A first name."""
    return rng.choice(_PEOPLE)


def spoken(parts: list[str], rng: Random, last: str = "and") -> str:
    """A list as people say it: "3, 1 and 4", "3, 1, and 4" or "3, 1, 4"."""
    if len(parts) == 1:
        return parts[0]
    roll = rng.random()
    if roll < 0.4:
        return ", ".join(parts)
    comma = "," if roll > 0.7 and len(parts) > 2 else ""
    return f"{', '.join(parts[:-1])}{comma} {last} {parts[-1]}"


_COUNT = _split("zero one two three four five six seven eight nine ten")
_ORDINAL = _split("zeroth first second third fourth fifth sixth seventh eighth ninth tenth")


def in_words(number: int) -> str:
    """A small number spelt out; a larger one in digits."""
    return _COUNT[number] if 0 <= number <= 10 else str(number)


def ordinal(position: int) -> str:
    """The ordinal of a position counted from one: "first", "second" …"""
    return _ORDINAL[position]
