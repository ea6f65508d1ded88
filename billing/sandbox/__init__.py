"""Our own small Stripe-shaped server for development and tests: no money, no network, a clock that can be moved.

Web code never imports this package: `make run`, `python -m billing.sandbox` and tests start it, and the real `stripe`
library reaches it over HTTP. What it speaks, and what it leaves out, is in docs/sandbox.md.
"""
