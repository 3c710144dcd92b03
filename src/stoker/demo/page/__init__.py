"""The demo's page: type a phrase, watch the search, read what it found. Needs the extra `web`."""
