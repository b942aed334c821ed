"""Self-hosted personalization of artwork and headlines with a contextual bandit."""
