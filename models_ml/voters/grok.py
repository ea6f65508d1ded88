"""Voter 9: Grok. The seat exists; this version asks no language model, so it abstains with `NO_KEY`."""

from models_ml.voters.language import LanguageVoter


class GrokVoter(LanguageVoter):
    """The Grok of xAI."""

    key = "grok"
