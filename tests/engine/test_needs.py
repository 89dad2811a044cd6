"""What calls are decided by, in a running sidecar: examples of domains, modes of routing."""

from math import inf
from typing import Any

import orjson

from tests.support.rig import PROMPT, Rig


async def features(rig: Rig, prompt: str, **headers: str) -> dict[str, Any]:
    body = {"model": "chat", "messages": [{"role": "user", "content": prompt}]}
    url = f"{rig.app.url}/v1/chat/completions"
    async with rig.session.post(url, json=body, headers={"x-streamroute-explain": "1", **headers}) as response:
        found: dict[str, Any] = orjson.loads(await response.read())["matched"]["features"]
        return found


async def test_a_request_whose_domain_is_said_is_an_example_of_it() -> None:
    """Once it is over, and only of domains that the configuration speaks of; a dry run teaches nothing."""
    async with Rig.of(None, steering="auction") as rig:
        domains = rig.app.learning.domains
        await features(rig, PROMPT, **{"x-streamroute-domain": "law"})
        assert len(domains.state()["counts"]) == 0
        await rig.ask(stream=False, streamroute={"domain": "law"})
        assert domains.state()["counts"].tolist() == [1]
        rig.app.learning._learned_at = -inf
        await rig.ask(stream=False, streamroute={"domain": "made up"})
        await rig.ask(stream=False)
        assert domains.state()["counts"].tolist() == [1]


async def test_what_was_learned_is_asked() -> None:
    """The classifier of a running sidecar is the learned one."""
    async with Rig.of(None, steering="auction") as rig:
        for i in range(25):
            rig.app.learning.domains.learn(f"How does my refund work with a levy {i}?", "tax")
            rig.app.learning.domains.learn(f"How does my flight work with a visa {i}?", "travel")
        found = await features(rig, "Does a levy change my refund?")
        assert (found["domain"], found["domain_source"]) == ("tax", "classified")


async def test_a_plain_request_is_not_read() -> None:
    """Nothing asks for matching, so the explanation has none."""
    async with Rig.of(None) as rig:
        body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}
        url = f"{rig.app.url}/v1/chat/completions"
        async with rig.session.post(url, json=body, headers={"x-streamroute-explain": "1"}) as response:
            assert orjson.loads(await response.read())["matched"] is None
