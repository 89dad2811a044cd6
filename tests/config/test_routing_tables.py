"""`[routing]`, rules, qualities and requirements of the file, and what is wrong with them."""

from decimal import Decimal

from streamroute.core.gate import AuditOptions
from streamroute.core.money import Money
from streamroute.core.requirements import Requirements
from streamroute.core.routing.rules import Between, OneOf
from streamroute.core.upstream import QualityTable, UpstreamId
from tests.config.conftest import Load, Problems

TWO = """\
version = 1
[providers.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9001/v1/"
residency = "EU"
[upstreams.one]
provider = "lab"
model = "small-1"
quality = 0.8
[upstreams.two]
provider = "lab"
model = "large-1"
quality = { default = 0.9, Code = 0.95 }
domains = ["Code", "law"]
residency = "us"
[routes.chat]
upstreams = ["one", "two"]
policy = "quality"
requirements = { min_quality = 0.7, max_cost_usd = 0.123456789012, domain = "Law" }
"""


def rule(lines: str) -> str:
    return f'{TWO}[[routing.rules]]\nname = "r"\n{lines}\n'


def test_qualities_regions_and_requirements(load: Load) -> None:
    """Names of domains and regions are folded; money is exact."""
    config = load(TWO)
    one, two = config.upstreams[UpstreamId("one")], config.upstreams[UpstreamId("two")]
    assert one.quality == QualityTable(default=0.8)
    assert two.quality == QualityTable(default=0.9, domains=(("code", 0.95),))
    assert (two.quality.of("code"), two.quality.of("tax"), two.quality.of(None)) == (0.95, 0.9, 0.9)
    assert (one.residency, two.residency, two.domains) == ("eu", "us", ("code", "law"))
    assert config.requirements == {"chat": Requirements(min_quality=0.7, max_cost=Money(123456789012), domain="law")}
    assert config.routes["chat"].policy == "quality"


def test_auto_is_everybody_or_whom_the_file_says(load: Load) -> None:
    """Until a route or an upstream is called that."""
    auto = load(TWO).auto
    assert auto is not None
    assert (auto.upstreams, auto.steering) == (("one", "two"), "auction")
    listed = load(TWO + '[routing]\nauto = ["two"]\n').auto
    assert listed is not None
    assert listed.upstreams == ("two",)
    own = load(TWO + "[routes.auto]\nrace_width = 3\n")
    assert own.auto is None
    assert (own.routes["auto"].upstreams, own.routes["auto"].steering) == (("one", "two"), "auction")
    both = load(TWO + '[routing]\nauto = ["two"]\n[routes.auto]\nrace_width = 3\n').routes["auto"]
    assert (both.upstreams, both.steering) == (("two",), "auction")


def test_auctions_are_audited_where_the_file_says_so(load: Load) -> None:
    """Also those of `auto`; without a judge, or with one that judges itself, that is told."""
    judge = '[upstreams.judge]\nprovider = "lab"\nmodel = "judge"\n[routing]\nauto = ["one", "two"]\n'
    auto = TWO + judge + "[routes.auto]\naudit = { share = 0.1, max_usd_per_day = 2 }\n"
    found = load(f'{auto}judge = "judge"\n')
    assert found.warnings == {}
    assert (found.routes["auto"].judge, found.routes["auto"].audit) == (
        "judge", AuditOptions(share=0.1, max_usd_per_day=Decimal(2))
    )  # fmt: skip
    (warned,) = load(auto).warnings.values()
    assert "no `judge`: only answers that come to a figure, a letter or a word can be compared" in warned
    assert "where two differ, the one that is held to be better is believed" in warned
    (warned,) = load(f'{auto}judge = "two"\n').warnings.values()
    assert warned.startswith("route auto has its answers judged by two, which is one of those that give them")
    assert warned.endswith("leave it out of the route's upstreams (`[routing] auto`, or `upstreams` of [routes.auto])")


def test_what_no_audit_can_look_into(problems: Problems) -> None:
    """A route that asks one upstream after another in its own order."""
    [found] = problems(TWO + '[routes.other]\nupstreams = ["one", "two"]\naudit = { share = 0.1 }\n')
    assert 'routes.other.audit: there is nothing to look into without `tiers` or steering = "auction"' in found


def test_auto_alone_may_be_made_up(load: Load) -> None:
    """Where no route has the simulated upstream, it is said of `auto`."""
    simulated = '[providers.sim]\nkind = "simulated"\n[upstreams.made]\nprovider = "sim"\nmodel = "m"\n'
    assert load(f'{simulated}[routing]\nauto = ["made"]\n').is_simulated
    assert not load(f'{simulated}[routing]\nauto = ["one"]\n').is_simulated


def test_auto_leaves_out_made_up_answers(load: Load) -> None:
    """As every route does."""
    sim = '[providers.sim]\nkind = "simulated"\n[upstreams.made-up]\nprovider = "sim"\nmodel = "m"\n'
    auto = load(TWO + sim).auto
    assert auto is not None
    assert auto.upstreams == ("one", "two")


def test_wrong_values(problems: Problems) -> None:
    """What, where, and what would be right."""
    bad = TWO.replace("quality = 0.8", "quality = 1.8").replace('"quality"\n', '"best"\n')
    found = problems(bad + '[routing]\nauto = ["tow"]\nmode = "learn"\nanswer_value_usd = { economy = 0 }\n')
    assert [each.partition(": ")[2] for each in found] == [
        "upstreams.one.quality.default: 1.8 is too large; the most is 1",
        "routes.chat.policy: \"best\" is not one of 'quality', 'balanced' or 'economy'",
        'routing.auto[0]: there is no upstream "tow"; did you mean "two"?',
        "routing.mode: \"learn\" is not one of 'rules', 'learned' or 'hybrid'; did you mean \"learned\"?",
        "routing.answer_value_usd.economy: 0 is too small; it must be above 0",
    ]


def test_a_rule(load: Load) -> None:
    """Conditions of all kinds."""
    config = load(
        rule(
            'when = { domain = ["Law"], tokens = { min = 2000 }, code = true, images = false, team = "legal" }\n'
            'then = { require = ["two"], min_quality = 0.9, latency_class = "batch", route = "chat", tier = 2 }'
        )
    )
    (found,) = config.routing.rules
    assert found.when == (
        OneOf("domain", frozenset({"law"})),
        Between("tokens", 2000.0, float("inf")),
        Between("code", 0.5, 1.0),
        Between("images", 0.0, 0.0),
        OneOf("team", frozenset({"legal"})),
    )
    assert (found.then.require, found.then.min_quality, found.then.tier) == (frozenset({"two"}), 0.9, 2)
    assert config.warnings == {}


def test_rules_that_cannot_be(problems: Problems) -> None:
    """Each mistake with the nearest name."""
    assert _words(problems, "when = { tokns = true }\nthen = { tier = 1 }") == [
        'routing.rules[0].when.tokns: there is no feature "tokns"; did you mean "tokens"?'
    ]
    assert _words(problems, "when = { code = { min = 2 } }\nthen = { tier = 1 }") == [
        "routing.rules[0].when.code: no number is from 2 to 1 here; `code` goes from 0 to 1"
    ]
    assert _words(problems, 'when = { tokens = "many" }\nthen = { tier = 1 }') == [
        "routing.rules[0].when.tokens: expected true, false, or a table such as { min = 1, max = 2 }"
    ]
    assert _words(problems, 'when = { format = "jsn" }\nthen = { tier = 1 }') == [
        'routing.rules[0].when.format: "jsn" can never be; did you mean "json"?'
    ]
    assert _words(problems, 'then = { require = ["oen"] }') == [
        'routing.rules[0].then.require[0]: there is no upstream "oen"; did you mean "one"?'
    ]
    assert _words(problems, 'then = { route = "chta" }') == [
        'routing.rules[0].then.route: there is no route "chta"; did you mean "chat"?'
    ]
    assert _words(problems, 'then = { polciy = "quality" }') == [
        'routing.rules[0].then.polciy: unknown key "polciy"; did you mean "policy"?'
    ]
    assert _words(problems, "then = {}")[0].startswith("routing.rules[0].then: says nothing; give it one of ")


def _words(problems: Problems, lines: str) -> list[str]:
    return [each.partition(": ")[2] for each in problems(rule(lines))]


def test_rules_that_are_probably_not_meant(load: Load) -> None:
    """They are allowed, and told: what never matches, says nothing, or stops every request."""
    text = (
        TWO
        + """
[[routing.rules]]
name = "floor"
then = { min_quality = 0.9 }
[[routing.rules]]
name = "lower"
when = { domain = "law" }
then = { min_quality = 0.5 }
[[routing.rules]]
name = "none"
then = { require = ["one"], avoid = ["one"] }
[[routing.rules]]
name = "odd"
when = { domain = "lwa" }
then = { policy = "quality" }
[[routing.rules]]
name = "dead"
when = { modality = "image", images = false }
then = { prefer = ["one"] }
"""
    )
    assert list(load(text).warnings.values()) == [
        'rule "lower": it is shadowed: wherever it matches, "floor" did before, and said as much',
        'rule "none": whom it requires is disabled or avoided: requests that it matches are refused',
        'rule "odd": no classifier and no upstream speaks of the domain lwa, only clients can; did you mean "law"?',
        'rule "dead": it never matches: modality image, and none of it',
    ]


def test_bidders(load: Load, problems: Problems) -> None:
    """Whom they may bid for must be known, where they are asked must be an address without secrets."""
    bidder = '[[routing.bidders]]\nname = "m"\nbid_url = "http://127.0.0.1:1/bid"\nupstreams = ["one"]\n'
    (found,) = load(TWO + bidder).bidders
    assert (found.name, found.bid_url, found.upstreams, found.timeout_s) == (
        "m",
        "http://127.0.0.1:1/bid",
        ("one",),
        0.05,
    )
    bad = bidder.replace("http://", "ftp://").replace('"one"', '"oen"') + "timeout_s = 2\n"
    assert [each.partition(": ")[2] for each in problems(TWO + bad)] == [
        "routing.bidders[0].timeout_s: 2 is too large; the most is 1"
    ]
    bad = bad.replace("timeout_s = 2", "")
    url, name = (each.partition(": ")[2] for each in problems(TWO + bad))
    assert url.startswith('routing.bidders[0].bid_url: expected a URL such as "https://bids.example.com/v1/bid"')
    assert name == 'routing.bidders[0].upstreams[0]: there is no upstream "oen"; did you mean "one"?'
