"""Voter 8: Gemini. The seat exists; this version asks no language model, so it abstains with `NO_KEY`."""

from models_ml.voters.language import LanguageVoter


class GeminiVoter(LanguageVoter):
    """Google's Gemini."""

    key = "gemini"
