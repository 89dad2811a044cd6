"""The tables of the ledger. What changes here changes in `migrations/versions` too; a test compares the two.

Times are milliseconds since the Unix epoch, money is picodollars: integers, which every database adds up exactly.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text, text

METADATA = MetaData()


def _attribution() -> list[Column[str]]:
    return [Column(name, Text) for name in ("task", "user", "team", "key")]


ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("ledger_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("rung", Text),
    Column("outcome", Text, nullable=False),
    Column("failure", Text),
    Column("cancel_reason", Text),
    Column("route", Text),
    Column("upstream", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("tier", Text),
    *_attribution(),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("is_counted", Boolean, nullable=False),
    Column("cost", BigInteger),
    Column("price_source", Text),
    Column("ttft_s", Float),
    Column("duration_s", Float, nullable=False),
    Column("sidecar", Text),
    Column("is_rejected", Boolean),
    Index("attempts_by_end", "ended_at_ms"),
)

REQUESTS = Table(
    "requests",
    METADATA,
    Column("ledger_id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("failure", Text),
    Column("route", Text, nullable=False),
    Column("upstream", Text),
    Column("provider", Text),
    Column("model", Text),
    *_attribution(),
    Column("attempts", Integer, nullable=False),
    Column("ttft_s", Float),
    Column("duration_s", Float, nullable=False),
    Column("domain", Text),
    Column("route_tier", Integer),
    Column("predicted", Float),
    Column("propensity", Float),
    Index("requests_by_end", "ended_at_ms"),
)

QUALITY = Table(
    "quality",
    METADATA,
    Column("ledger_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("upstream", Text, primary_key=True),
    Column("ended_at_ms", BigInteger, nullable=False),
    Column("score", Float, nullable=False),
    Column("weight", Float, nullable=False),
    Column("label", Text),
    Column("route", Text),
    Column("task", Text),
    Column("key", Text),
    Column("domain", Text),
    Column("route_tier", Integer),
    Column("predicted", Float),
    Index("quality_by_end", "ended_at_ms"),
)

_IS_KEPT = text("revoked_at_ms IS NULL")

KEYS = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    Column("rotated_at_ms", BigInteger),
    Column("previous_digest", Text),
    Column("previous_until_ms", BigInteger),
    Column("team", Text),
    Column("task", Text),
    Column("routes", Text),
    Column("upstreams", Text),
    Column("requests_per_min", BigInteger),
    Column("tokens_per_min", BigInteger),
    Column("budgets", Text, nullable=False),
    Column("may_use_unpriced", Boolean, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("writes", BigInteger, nullable=False),
    Column("requirements", Text),
    Index("keys_by_digest", "digest", unique=True),
    Index("keys_by_name", "name", unique=True, sqlite_where=_IS_KEPT, postgresql_where=_IS_KEPT),
)
"""`writes` counts how often a row was written: whoever polls sees from the sum whether anything has changed. Lists are
JSON, requirements an object as in a request's body. Digests are in hexadecimal."""

GROUPED = ("task", "user", "team", "key", "route", "upstream", "provider", "model", "tier", "cause", "fate")
"""What rollups are kept by, beside the day; any of them may be null."""
SUMS = (
    "requests",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_high",
    "cost_low",
    "unpriced_attempts",
)
"""What they add up. Costs come in two halves, millions of picodollars and the rest: the sum of whole picodollars leaves
64 bits at nine million dollars."""

ROLLUPS = Table(
    "rollups",
    METADATA,
    Column("is_by_user", Boolean, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
    *(Column(name, Text) for name in GROUPED),
    Column("is_collapsed", Boolean, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in SUMS),
    Index(
        "rollups_collapsed",
        "is_by_user",
        "day",
        sqlite_where=text("is_collapsed = 1"),
        postgresql_where=text("is_collapsed"),
    ),
    sqlite_with_rowid=False,
)
"""Two of each day: one without the user, which is small and answers most questions, and one with the user."""

LEDGER_STATE = Table(
    "ledger_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("pruned_before_ms", BigInteger, nullable=False),
    Column("is_rolled_up", Boolean, nullable=False),
)
"""One row. Attempts and requests that ended before `pruned_before_ms`, a midnight, are only in the rollups."""
