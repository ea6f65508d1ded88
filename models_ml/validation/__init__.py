"""How models are judged: splits that do not leak and figures that come with their uncertainty."""
