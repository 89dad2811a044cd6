"""Which prices of the public list are those of a provider. Without the extra there are none.

Who is paid decides, not how the API is spoken: behind `kind = "openai"` with an address of one's own there may be
anything, and a price that is wrong is worse than none.
"""

from streamroute.config.draft import Draft
from streamroute.config.model import Source
from streamroute.config.schema import ProviderTable
from streamroute.config.suggestion import suggestion
from streamroute.feeds.price_list import EXTRA, is_installed, known_lists, list_at
from streamroute.providers.presets import SIMULATED, Preset

OFF = "off"


def price_list(draft: Draft, name: str, table: ProviderTable, preset: Preset) -> str | None:
    """Return the name in the list of the provider whose prices are paid: as told, else by address, else the preset's.

    Problems are reported to `draft`.
    """
    wanted, path = table.price_list, ("providers", name, "price_list")
    if wanted == OFF or preset.kind == SIMULATED:
        return None
    if not is_installed():
        if wanted is not None:
            draft.report(path, f"the price list is an extra: pip install '{EXTRA}'")
        return None
    if wanted is not None:
        if wanted not in (known := known_lists()):
            draft.report(path, f"genai-prices has no {draft.shown(path, wanted)}{suggestion(wanted, known)}")
        return wanted
    if table.base_url is None:
        found = preset.price_list
    else:
        found = list_at(table.base_url) or (preset.price_list if preset.base_url is None else None)
    if found is not None:
        draft.sources[f"providers.{name}.price_list"] = Source(where="preset", detail=preset.kind)
    return found
