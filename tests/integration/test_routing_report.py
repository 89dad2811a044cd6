"""`/status` and the report from the ledger say the same: by route and tier, with audits, on `auto` and on no route."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from streamroute.cli.main import app
from streamroute.core.routing.figures import figures_document
from streamroute.reports import routing_report
from tests.integration.test_cascade_audits import OTHER, ROUTE, SAME, SMALL, made, trusted
from tests.support.tiers import Tiers


def told(document: dict[str, Any], by: str) -> list[tuple[object, ...]]:
    names = (
        by,
        "requests",
        "cost_usd",
        "audits_usd",
        "unpriced_calls",
        "baseline_usd",
        "baseline_unknown",
        "saved_usd",
    )
    return sorted((tuple(each[name] for name in names) for each in document[f"by_{by}"]), key=str)


async def test_the_ledger_and_the_status_say_the_same(tmp_path: Path) -> None:
    """Audits are told apart from what answers cost, and are no saving; the route that nobody has named has a large
    model as well, and so has an upstream that clients name: itself."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE) as tiers:
        trusted(tiers)
        for count in range(1, 4):
            await tiers.ask()
            await tiers.until(lambda count=count: made(tiers) == {"agrees": count})  # type: ignore[misc]  # as a default
        for model in ("auto", "small", "large"):
            await tiers.ask(model=model)
        status = (await tiers.get("/status"))["routing"]
        config = tiers.app.config
    report: Any = figures_document(routing_report(config, 0, None))
    assert len(status["by_route"]) == 4
    for by in ("route", "tier", "domain", "task"):
        assert told(report, by) == told(status, by)
    chat = next(each for each in report["by_route"] if each["route"] == "chat")
    cost, audits, baseline = (Decimal(chat[f"{name}_usd"]) for name in ("cost", "audits", "baseline"))
    assert cost < audits
    assert cost < baseline
    assert Decimal(chat["saved_usd"]) == baseline - cost - audits
    assert {each["route"]: each["saved_percent"] for each in report["by_route"]} | {"chat": 0} == {
        "auto": 90.0,
        "chat": 0,
        "large": 0.0,
        "small": 0.0,
    }


async def test_rejected_answers_are_what_the_answer_cost(tmp_path: Path) -> None:
    """They are no audits, though they are compared like these."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": OTHER}, ROUTE) as tiers:
        answer = await tiers.ask()
        status = (await tiers.get("/status"))["routing"]
        config = tiers.app.config
    report: Any = figures_document(routing_report(config, 0, None))
    shown = CliRunner().invoke(app, ["routing", "report", "--config", str(tmp_path / "tiers.toml")]).stdout
    assert "cost usd" in shown
    assert "audits" not in shown
    assert told(report, "route") == told(status, "route")
    assert (Decimal(report["total"]["cost_usd"]), report["total"]["audits_usd"]) == (answer.cost_usd, "0")
    assert Decimal(report["total"]["baseline_usd"]) < Decimal(report["total"]["cost_usd"])


async def test_people_count_tiers_from_1(tmp_path: Path) -> None:
    """As in rules; with the models beside the number where the route is told."""
    async with Tiers.of(tmp_path, {"small": SMALL, "large": SAME}, ROUTE) as tiers:
        trusted(tiers)
        await tiers.ask()
        await tiers.until(lambda: made(tiers) == {"agrees": 1})
        status = await tiers.get("/status")
    gate = status["routes"]["chat"]["gate"]
    assert gate["tiers"] == {"1": ["small"], "2": ["large"]}
    assert list(gate["audits"]["looks"]) == ["1"]
    assert [(each["tier"], each["requests"]) for each in status["routing"]["by_tier"]] == [(1, 1), (2, 0)]
    asked = ["routing", "report", "--config", str(tmp_path / "tiers.toml")]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert "chat   1 (small)" in told.stdout
    assert "audits usd" in told.stdout
    alone = CliRunner().invoke(app, [*asked, "--by", "tier"])
    assert [line.split()[0] for line in alone.stdout.splitlines()] == ["tier", "1", "2", "total"]
