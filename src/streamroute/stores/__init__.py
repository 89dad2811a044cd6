"""Where entries of the ledger are kept: a database, and a spool on disk for the time in which it is not to be had."""
