"""How a provider that speaks Anthropic's format is addressed."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamroute.core.upstream import Capabilities, CredentialId, ProviderName, Upstream, UpstreamId
from streamroute.errors import RequestError
from streamroute.providers.formats import FORMATS, open_provider
from streamroute.providers.options import ProviderOptions, Quirks
from streamroute.providers.presets import PRESETS
from streamroute.providers.provider import Provider
from streamroute.wire.openai_chat.request import decode_request

CLAUDE = Upstream(
    id=UpstreamId("claude"),
    provider=ProviderName("anthropic"),
    model="claude-1",
    credential=CredentialId("anthropic"),
    failure_domain="anthropic",
)


def provider(**options: Any) -> Provider:
    preset = PRESETS["anthropic"]
    known = {
        "name": ProviderName("anthropic"),
        "kind": preset.kind,
        "base_url": preset.base_url,
        "wire_format": preset.wire_format,
        "auth": preset.auth,
        "api_key": "sk-ant-canary",
        "chat_path": FORMATS[preset.wire_format].chat_path,
        "quirks": preset.quirks,
    }
    return open_provider(ProviderOptions(**(known | options)))


def chat(**body: Any) -> Any:
    return decode_request(orjson.dumps({"model": "c", "messages": [{"role": "user", "content": "Hi"}], **body}))


def test_the_request() -> None:
    """Address, key, version and the client's allowed headers."""
    request = provider().request(chat(stream=True), CLAUDE, {"anthropic-beta": "x-2026"})
    assert request.url == "https://api.anthropic.com/v1/messages"
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["x-api-key"] == "sk-ant-canary"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "x-2026"
    assert headers["accept"] == "text/event-stream"
    assert "authorization" not in headers
    assert orjson.loads(request.body)["model"] == "claude-1"
    assert "canary" not in repr(request)


def test_a_newer_version_is_data() -> None:
    """Another version and its way of sending the key are configured, and sent once."""
    newer = provider(headers={"Anthropic-Version": "2026-10-21"}, auth="bearer", quirks=Quirks(sampling="drop"))
    request = newer.request(chat(temperature=0.2), CLAUDE, {})
    versions = [value for name, value in request.headers.items() if name.lower() == "anthropic-version"]
    assert versions == ["2026-10-21"]
    assert request.headers["Authorization"] == "Bearer sk-ant-canary"
    assert "temperature" not in orjson.loads(request.body)


def test_a_model_has_the_last_word() -> None:
    """Models of one provider differ: what is said of an upstream comes before what is said of its provider."""
    old = replace(CLAUDE, capabilities=Capabilities(reasoning="budget", sampling="refuse"))
    asked = chat(reasoning_effort="medium", max_tokens=4000)
    assert orjson.loads(provider().request(asked, old, {}).body)["thinking"] == {
        "type": "enabled",
        "budget_tokens": 2000,
    }
    assert orjson.loads(provider().request(asked, CLAUDE, {}).body)["thinking"] == {"type": "adaptive"}
    assert provider().why_not(chat(temperature=0.2), old) == "it does not take `temperature`"
    assert provider().why_not(chat(temperature=0.2), CLAUDE) is None


def test_probes_ask_for_the_models() -> None:
    request = provider().models_request()
    assert (request.method, request.url) == ("GET", "https://api.anthropic.com/v1/models")
    assert {"x-api-key", "anthropic-version"} <= {name.lower() for name in request.headers}


def test_the_version_is_no_secret() -> None:
    """Else every error that names it would be blanked."""
    assert set(provider().secrets) == {"sk-ant-canary"}


def test_why_not_and_request_agree() -> None:
    asked = chat(n=2)
    assert provider().why_not(asked, CLAUDE) == "it has no `n`"
    with pytest.raises(RequestError, match="`n`") as refused:
        provider().request(asked, CLAUDE, {})
    assert refused.value.param == "n"
    assert provider().why_not(chat(), CLAUDE) is None
