"""Who somebody is: sign-in, second factors, sessions, tokens, and the limits on all of them. allauth does the work."""
