"""WHO PAYS: subscriptions and payment events live here. Nobody imports this app."""
