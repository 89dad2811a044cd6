"""The OpenAI-compatible world as a table: where each provider lives, how it wants its key, how it differs.

Adding a provider is adding a row. Rules of the file:

1. A row states what the provider documents (`docs`), not what one model does; models differ, so capabilities are
   given per upstream. The one exception is `continuation`, and only where the provider documents it for all models.
2. `base_url` is what its documentation gives an OpenAI client, without trailing slash; None where it is the user's.
3. `price_list` is a name of genai-prices whose prices are the provider's own, not those of a reseller.
4. `bills_cancelled_streams` follows OpenRouter's list (https://openrouter.ai/docs/api-reference/streaming); providers
   that are not on it stay None.
"""

from dataclasses import dataclass

from streamroute.core.request import WireFormatName
from streamroute.core.upstream import Continuation
from streamroute.providers.options import AuthScheme, Quirks

_AS_OPENAI = Quirks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What `kind = "..."` stands for."""

    kind: str
    title: str
    base_url: str | None
    """None: must be configured (simulated providers have none)."""
    wire_format: WireFormatName = "openai_chat"
    auth: AuthScheme = "bearer"
    env: str | None = None
    """The variable in which the provider's own documentation keeps the key."""
    requires_key: bool = True
    quirks: Quirks = _AS_OPENAI
    continuation: Continuation | None = None
    """How a cut answer can be carried on, where the provider documents one way for all its models."""
    price_list: str | None = None
    """What genai-prices calls this provider; None where it does not know it, or the user decides what it costs."""
    docs: str
    """Where the facts of this row come from."""


_STOPS_BILLING = Quirks(bills_cancelled_streams=False)
_BILLS_ON = Quirks(bills_cancelled_streams=True)

_HOSTED = (
    Preset(
        kind="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        env="OPENAI_API_KEY",
        quirks=_STOPS_BILLING,
        price_list="openai",
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
    Preset(
        kind="azure_openai",
        title="Azure OpenAI",
        base_url=None,  # https://RESOURCE.openai.azure.com/openai/v1
        auth="api-key",
        env="AZURE_OPENAI_API_KEY",
        quirks=Quirks(rate_limit_scope="model", bills_cancelled_streams=False),  # quota is set per deployment
        price_list="azure",
        docs="https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle",
    ),
    Preset(
        kind="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com/v1",
        wire_format="anthropic_messages",
        auth="x-api-key",
        env="ANTHROPIC_API_KEY",
        # Limits are per model class.
        quirks=Quirks(usage_on_stream="always", rate_limit_scope="model", bills_cancelled_streams=False),
        continuation="instructed",  # Claude 4.6 and later refuse a prefill; for older models say so per upstream
        price_list="anthropic",
        docs="https://platform.claude.com/docs/en/api/messages",
    ),
    Preset(
        kind="gemini",
        title="Google Gemini (OpenAI-compatible endpoint)",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        env="GEMINI_API_KEY",
        quirks=Quirks(rate_limit_scope="model", takes_google_notes=True, bills_cancelled_streams=True),
        price_list="google",
        docs="https://ai.google.dev/gemini-api/docs/openai",
    ),
    Preset(
        kind="gemini_native",
        title="Google Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        wire_format="gemini",
        auth="x-goog-api-key",
        env="GEMINI_API_KEY",
        quirks=Quirks(usage_on_stream="always", rate_limit_scope="model", bills_cancelled_streams=True),
        price_list="google",
        docs="https://ai.google.dev/api/generate-content",
    ),
    Preset(
        kind="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        env="OPENROUTER_API_KEY",
        # `include_usage` is deprecated there: full usage always comes. A 429 usually speaks for one model's provider.
        quirks=Quirks(
            usage_on_stream="always", rate_limit_scope="model", takes_google_notes=True, takes_reasoning_details=True
        ),
        price_list="openrouter",
        docs="https://openrouter.ai/docs/api-reference/streaming",
    ),
    Preset(
        kind="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        env="GROQ_API_KEY",
        quirks=Quirks(rate_limit_scope="model", bills_cancelled_streams=True),
        price_list="groq",
        docs="https://console.groq.com/docs/openai",
    ),
    Preset(
        kind="together",
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        env="TOGETHER_API_KEY",
        quirks=_STOPS_BILLING,
        price_list="together",
        docs="https://docs.together.ai/docs/openai-api-compatibility",
    ),
    Preset(
        kind="fireworks",
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        env="FIREWORKS_API_KEY",
        quirks=_STOPS_BILLING,
        price_list="fireworks",
        docs="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    Preset(
        kind="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        env="DEEPSEEK_API_KEY",
        quirks=Quirks(bills_cancelled_streams=False, continuation_chat_path="/beta/chat/completions"),
        continuation="prefix",
        price_list="deepseek",
        docs="https://api-docs.deepseek.com/guides/chat_prefix_completion",
    ),
    Preset(
        kind="mistral",
        title="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        env="MISTRAL_API_KEY",
        # 422 "extra inputs are not permitted" to stream_options.include_usage; the last chunk has the usage anyway.
        quirks=Quirks(usage_on_stream="always", bills_cancelled_streams=True),
        continuation="prefix",
        price_list="mistral",
        docs="https://docs.mistral.ai/api",
    ),
    Preset(
        kind="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        env="XAI_API_KEY",
        quirks=_STOPS_BILLING,
        price_list="x-ai",
        docs="https://docs.x.ai/docs/api-reference",
    ),
    Preset(
        kind="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai",
        env="PERPLEXITY_API_KEY",
        quirks=Quirks(usage_on_stream="always", bills_cancelled_streams=True),
        price_list="perplexity",
        docs="https://docs.perplexity.ai/guides/chat-completions-guide",
    ),
    Preset(
        kind="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        env="CEREBRAS_API_KEY",
        price_list="cerebras",
        docs="https://inference-docs.cerebras.ai/resources/openai",
    ),
    Preset(
        kind="sambanova",
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        env="SAMBANOVA_API_KEY",
        quirks=_BILLS_ON,
        docs="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
    ),
    Preset(
        kind="nebius",
        title="Nebius Token Factory",
        base_url="https://api.tokenfactory.nebius.com/v1",
        env="NEBIUS_API_KEY",
        quirks=_BILLS_ON,
        docs="https://docs.tokenfactory.nebius.com/api-reference/introduction",
    ),
    Preset(
        kind="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        env="DEEPINFRA_API_KEY",
        quirks=_STOPS_BILLING,
        docs="https://deepinfra.com/docs/openai_api",
    ),
    Preset(
        kind="hyperbolic",
        title="Hyperbolic",
        base_url="https://api.hyperbolic.xyz/v1",
        env="HYPERBOLIC_API_KEY",
        quirks=_STOPS_BILLING,
        docs="https://docs.hyperbolic.xyz",
    ),
    Preset(
        kind="moonshot",
        title="Moonshot AI (Kimi)",
        base_url="https://api.moonshot.ai/v1",  # https://api.moonshot.cn/v1 in China
        env="MOONSHOT_API_KEY",
        price_list="moonshotai",
        docs="https://platform.moonshot.ai/docs/api/chat",
    ),
    Preset(
        kind="zai",
        title="Z.ai (GLM)",
        base_url="https://api.z.ai/api/paas/v4",
        env="ZAI_API_KEY",
        price_list="zai",
        docs="https://docs.z.ai/guides/develop/http/introduction",
    ),
    Preset(
        kind="qwen",
        title="Qwen (Alibaba DashScope, international)",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",  # dashscope.aliyuncs.com in China
        env="DASHSCOPE_API_KEY",
        quirks=_BILLS_ON,
        docs="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
    ),
    Preset(
        kind="nvidia_nim",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        env="NVIDIA_API_KEY",
        docs="https://docs.api.nvidia.com/nim/reference",
    ),
    Preset(
        kind="huggingface",
        title="Hugging Face router",
        base_url="https://router.huggingface.co/v1",
        env="HF_TOKEN",
        quirks=_BILLS_ON,
        docs="https://huggingface.co/docs/inference-providers",
    ),
    Preset(
        kind="cohere",
        title="Cohere (OpenAI-compatible endpoint)",
        base_url="https://api.cohere.ai/compatibility/v1",
        env="COHERE_API_KEY",
        quirks=Quirks(usage_on_stream="always", bills_cancelled_streams=False),  # rejects stream_options
        price_list="cohere",
        docs="https://docs.cohere.com/docs/compatibility-api",
    ),
)

_SELF_HOSTED = (
    Preset(
        kind="vllm",
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        env="VLLM_API_KEY",
        requires_key=False,
        quirks=_STOPS_BILLING,
        continuation="continue_final_message",
        docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    Preset(
        kind="sglang",
        title="SGLang",
        base_url="http://127.0.0.1:30000/v1",
        requires_key=False,
        quirks=_STOPS_BILLING,
        continuation="continue_final_message",
        docs="https://docs.sglang.io/basic_usage/openai_api_completions.html",
    ),
    Preset(
        kind="llama_cpp",
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        env="LLAMA_API_KEY",
        requires_key=False,
        quirks=_STOPS_BILLING,
        continuation="prefill",
        docs="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Preset(
        kind="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        requires_key=False,
        quirks=_STOPS_BILLING,
        docs="https://docs.ollama.com/api/openai-compatibility",
    ),
    Preset(
        kind="lm_studio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        requires_key=False,
        quirks=_STOPS_BILLING,
        docs="https://lmstudio.ai/docs/api/openai-api",
    ),
    Preset(
        kind="litellm",
        title="LiteLLM proxy",
        base_url="http://127.0.0.1:4000/v1",
        env="LITELLM_API_KEY",
        requires_key=False,
        quirks=Quirks(takes_google_notes=True, takes_reasoning_details=True),
        docs="https://docs.litellm.ai/docs/proxy/user_keys",
    ),
    Preset(
        kind="openai_compatible",
        title="Anything else that speaks OpenAI's chat completions",
        base_url=None,
        requires_key=False,
        quirks=Quirks(takes_google_notes=True, takes_reasoning_details=True),
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
    Preset(
        kind="anthropic_compatible",
        title="Anything else that speaks Anthropic's messages",
        base_url=None,
        wire_format="anthropic_messages",
        auth="x-api-key",
        requires_key=False,
        quirks=Quirks(usage_on_stream="always"),
        docs="https://docs.claude.com/en/api/messages",
    ),
    Preset(
        kind="simulated",
        title="Embedded simulated provider: answers are made up",
        base_url=None,
        auth="none",
        requires_key=False,
        quirks=_STOPS_BILLING,
        continuation="prefill",
        docs="docs/reference/providers.md",
    ),
)

PRESETS: dict[str, Preset] = {preset.kind: preset for preset in (*_HOSTED, *_SELF_HOSTED)}

SIMULATED = "simulated"
"""The kind whose answers are made up."""
