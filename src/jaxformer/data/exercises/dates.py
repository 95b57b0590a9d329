"""Dates and times with the standard library."""

# One phrase table row is one thing; broken in pieces it could no longer be read or searched.
# ruff: noqa: E501

import datetime
from random import Random

from jaxformer.data.exercises import picks, values
from jaxformer.data.exercises.forms import Step
from jaxformer.data.exercises.operations import Check, Params, Value, register
from jaxformer.data.exercises.phrasing import expand
from jaxformer.data.exercises.reference import quoted
from jaxformer.data.exercises.world import Var, World

_MAKE = "[create|make|define|set up]"
_DATE = (
    f"{_MAKE} a date {{n}} for {{w}}|{_MAKE} a date [called|named] {{n}} [that is|set to|for|representing] {{w}}|set {{n}} to the date {{w}}|let {{n}} be the date {{w}}|"
    "store the date {w} in {n}|{n} is the date {w}|use datetime to make {n} the date {w}|save {w} as a date in {n}|import date from datetime and set {n} to {w}"
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _random_date(rng: Random) -> datetime.date:
    return datetime.date(rng.randint(1990, 2030), rng.randint(1, 12), rng.randint(1, 28))


def _spoken(day: datetime.date, rng: Random) -> str:
    month = _MONTHS[day.month - 1]
    return rng.choice(
        (
            day.isoformat(),
            f"{month} {day.day}, {day.year}",
            f"{day.day} {month} {day.year}",
            f"{day.year}-{day.month:02}-{day.day:02}",
        )
    )


def define_date(world: World, rng: Random) -> Step:
    """Define a date, spelt out or in digits."""
    name = values.fresh_name(
        rng, "num", world.names, "day d start birthday when deadline today due"
    )
    day = _random_date(rng)
    prompt = expand(
        _DATE, rng, {"n": quoted(world, name, rng, defining=True), "w": _spoken(day, rng)}
    )
    code = f"{name} = date({day.year}, {day.month}, {day.day})"
    if "date" not in world.used:
        world.used.append("date")
        code = f"from datetime import date\n{code}"
    return Step(prompt, code, (Var(name),))


def define_date_text(world: World, rng: Random) -> Step:
    """Define a string with a date in it, to be read later."""
    name = values.fresh_name(rng, "word", world.names, "text stamp raw date_text s when day")
    value = _random_date(rng).isoformat()
    template = f"{_MAKE} a string {{n}} with the date '{{v}}'|set {{n}} to the [text|string] '{{v}}'|store '{{v}}' in {{n}}|let {{n}} be '{{v}}'|{{n}} = '{{v}}'"
    prompt = expand(template, rng, {"n": quoted(world, name, rng, defining=True), "v": value})
    return Step(prompt, f"{name} = {value!r}", (Var(name),))


def _days(_: datetime.date, rng: Random) -> Params:
    return {"k": rng.choice((1, 2, 3, 5, 7, 10, 14, 30, 45, 60, 90, 100))}


def _weeks(_: datetime.date, rng: Random) -> Params:
    return {"k": rng.randint(1, 6)}


def _iso(held: str) -> bool:
    return len(held) == 10 and held[4] == held[7] == "-" and held[:4].isdigit()


_DELTA = "from datetime import timedelta"
_PARSE = "from datetime import datetime"
register(
    Value("date", "{a}.year", "the year of {a}", asks="[what|which] year is {a} in", names="year y", weight=3),
    Value("date", "{a}.month", "the month of {a}[ as a number|]|the month number of {a}", names="month m", weight=3),
    Value("date", "{a}.day", "the day of the month of {a}|the day of {a}", names="day_number dom", weight=2.5),
    Value("date", "{a}.weekday()", "the [day of the week|weekday] of {a} as a number[| with Monday as 0]", names="weekday wd", weight=2),
    Value("date", "{a}.strftime('%A')", "the [name of the weekday|weekday name|day of the week] of {a}", asks="[what|which] day of the week is {a}|on which weekday does {a} fall", names="weekday day_name", weight=5),
    Value("date", "{a}.strftime('%B')", "the [name of the month|month name] of {a}", names="month_name month", weight=3),
    Value("date", "{a}.isoformat()", "{A} in ISO format|{A} as a string like 2024-01-31", verbs="format {a} as year-month-day|turn {a} into an ISO string", names="text iso formatted", weight=2.5),
    Value("date", "{a}.strftime('%d/%m/%Y')", "{A} [formatted|written] as day/month/year|{A} in the format dd/mm/yyyy", verbs="format {a} as dd/mm/yyyy", names="text formatted", weight=3),
    Value("date", "{a}.strftime('%d.%m.%Y')", "{A} in the format dd.mm.yyyy", verbs="format {a} as dd.mm.yyyy", names="text formatted", weight=1.5),
    Value("date", "{a}.strftime('%B %d, %Y')", "{A} [written|formatted] like March 05, 2021", names="text formatted", weight=1.5),
    Value("date", "{a} + timedelta(days={k})", "the date {k} days after {a}|the day {k} days later than {a}", does="add {k} days to {a}|move {a} [forward |]by {k} days|move {a} {k} days ahead", asks="what is the date {k} days after {a}", names="later end due", setup=_DELTA, pick=_days, weight=6),
    Value("date", "{a} - timedelta(days={k})", "the date {k} days before {a}|the day {k} days earlier than {a}", does="subtract {k} days from {a}|move {a} back by {k} days", names="earlier start before", setup=_DELTA, pick=_days, weight=4),
    Value("date", "{a} + timedelta(weeks={k})", "the date {kw} weeks after {a}", does="add {kw} weeks to {a}", names="later next_date", setup=_DELTA, pick=_weeks, weight=3),
    Value("date", "{a}.replace(day=1)", "the first day of the month of {a}", does="move {a} to the first day of its month", names="first_day start", weight=1.5),
    Value("date", "{a}.replace(year={a}.year + 1)", "the same day as {a} one year later|{A} one year later", does="move {a} one year ahead", names="next_year anniversary", test=lambda v: (v.month, v.day) != (2, 29), weight=1.5),
    Value("date", "{a}.timetuple().tm_yday", "the day of the year of {a}|the number of {a} within its year", names="day_of_year yday", weight=1.5),
    Value("date", "({a}.month - 1) // 3 + 1", "the quarter of {a}|the quarter of the year in which {a} falls", names="quarter q", weight=1.5),
    Value("date date", "({b} - {a}).days", "the number of days [from {A} to {b}|between {A} and {b}]|how many days there are from {A} to {b}", verbs="count the days from {A} to {b}", asks="how many days are there between {A} and {b}", names="days gap num_days", weight=9),
    Value("date date", "min({a}, {b})", "the earlier of {A} and {b}", asks="which is earlier, {A} or {b}", names="earlier first", weight=3),
    Value("date date", "max({a}, {b})", "the later of {A} and {b}", asks="which is later, {A} or {b}", names="later last", weight=3),
    Check("date", "{a}.weekday() >= 5", "{a} is on a weekend|{a} is a Saturday or Sunday", "is {a} on a weekend", names="weekend is_weekend", weight=3),
    Check("date", "{a}.year % 4 == 0 and ({a}.year % 100 != 0 or {a}.year % 400 == 0)", "the year of {a} is a leap year", "is the year of {a} a leap year", names="leap is_leap", weight=2),
    Check("date date", "{a} < {b}", "{A} is before {b}|{A} comes before {b}|{A} is earlier than {b}", "is {A} before {b}|does {A} come before {b}", names="before is_earlier", weight=4),
    Value("word", "datetime.strptime({a}, '%Y-%m-%d').date()", "{A} as a date", verbs="parse {a} as a date|convert {a} [to|into] a date|turn {a} into a date", names="day date_value parsed", setup=_PARSE, test=_iso, weight=12),
    Value("word", "int({a}[:4])", "the year in {a} as [a number|an integer]", names="year", test=_iso, weight=4),
    Value("word", "int({a}.split('-')[1])", "the month in {a} as [a number|an integer]", names="month", test=_iso, weight=4),
    Value("int", "f'{{a} // 60}:{{a} % 60:02}'", "{A} minutes as hours:minutes|{A} minutes written as h:mm", names="clock time_text", test=lambda v: 0 <= v < 1440, weight=0.6),
    Value("int", "{a} // 60", "the number of whole hours in {A} minutes", names="hours", test=lambda v: v >= 30, weight=0.6),
    Value("int", "{a} * 60", "the number of [seconds in {A} minutes|minutes in {A} hours]", names="seconds minutes", pick=picks.number(1, 1), weight=0.5, test=lambda v: 0 < v < 500),
)  # fmt: skip
