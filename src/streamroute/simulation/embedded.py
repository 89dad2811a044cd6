"""A simulated provider inside the sidecar, as the configuration asks for it."""

from streamroute.providers.options import SimulationOptions
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.simulation.script_file import load_script
from streamroute.simulation.server import SimulationServer


async def start(options: SimulationOptions) -> SimulationServer:
    """Return a running one, which the caller ends; raises ConfigError where its script is wrong."""
    return await SimulationServer(script_of(options), keep_bodies=False).__aenter__()


def script_of(options: SimulationOptions) -> Script:
    """Return what it is to play; raises ConfigError where its file is wrong."""
    if options.script is not None:
        return load_script(options.script)
    profile = Profile(ttft_s=options.ttft_s, tpot_s=1 / options.tokens_per_s, tokens=options.answer_tokens, jitter=0.2)
    return Script(name="embedded", seed=options.seed, profile=profile)
