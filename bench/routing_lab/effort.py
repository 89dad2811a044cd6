"""How much is done for a figure."""

from dataclasses import dataclass

from streamroute.core.routing.learned.first_level import EPOCHS


@dataclass(frozen=True, slots=True)
class Effort:
    """The usual one, or less."""

    epochs: int = EPOCHS
    runs: int = 5
    """Orders in which a stream is served."""

    @classmethod
    def of(cls, *, is_fast: bool) -> "Effort":
        """Return the usual one, or less."""
        return cls(epochs=1, runs=1) if is_fast else cls()
