"""Any exchange that ccxt speaks: REST history and `ccxt.pro` streams behind our `Venue`."""
