"""What several tests share: servers, clients, oracles. No tests here."""
