"""FinBERT, or any sequence classifier with its three labels, from a folder on this machine: nothing is downloaded.

Araci (2019), "FinBERT: financial sentiment analysis with pre-trained language models". The folder is what
`save_pretrained` of the transformers library writes: `config.json`, a tokenizer and `model.safetensors`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from markets.values import FloatArray
from models_ml.agents.sentiment import LABELS, SentimentError, balance

BATCH = 32
TOKENS = 96
"""Headlines are shorter; what is longer is cut."""
NEEDED = ("config.json", "model.safetensors")


class FinbertReader:
    """A `sentiment.Reader` on the transformers library, which is not part of an ordinary installation."""

    key = "finbert"

    def __init__(self, folder: Path) -> None:
        """Load tokenizer and weights.

        Raises:
            SentimentError: weights or library missing, or labels that are not negative, neutral and positive.
        """
        missing = [name for name in NEEDED if not (folder / name).is_file()]
        if missing:
            raise SentimentError(
                f"no FinBERT in {folder} ({', '.join(missing)} missing): put a folder of save_pretrained there"
            )
        library = _transformers()
        try:
            self.tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model = library.AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError) as error:
            raise SentimentError(f"FinBERT in {folder} cannot be read: {str(error)[:200]}") from error
        self.order = order_of(self.model.config.id2label)

    def probabilities(self, texts: Sequence[str]) -> FloatArray:
        """(N, 3) in the order of `LABELS`."""
        import torch

        parts = [np.empty((0, len(LABELS)))]
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            tokens = self.tokenizer(batch, return_tensors="pt", padding=True, truncation=True, max_length=TOKENS)
            with torch.inference_mode():
                logits = self.model(**tokens).logits
            parts.append(torch.softmax(logits.double(), dim=-1).numpy()[:, self.order])
        return np.concatenate(parts)

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """See `sentiment.Reader.scores`."""
        return balance(self.probabilities(texts))


def order_of(id2label: dict[int, str]) -> list[int]:
    """Which output stands for each of `LABELS`.

    Raises:
        SentimentError: the model was not trained for these three.
    """
    places = {name.lower(): int(place) for place, name in id2label.items()}
    if set(places) != set(LABELS):
        raise SentimentError(f"the model's labels are {', '.join(sorted(places))}, not {', '.join(LABELS)}")
    return [places[label] for label in LABELS]


def _transformers() -> Any:  # noqa: ANN401  # a module that may not be installed
    try:
        import transformers
    except ImportError as error:
        raise SentimentError(
            "FinBERT needs the transformers library: install it beside torch, or set SENTIMENT_READER to auto"
        ) from error
    return transformers
