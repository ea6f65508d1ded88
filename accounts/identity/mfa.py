"""allauth's hooks for second factors: what it keeps of them is sealed."""

from allauth.mfa.adapter import DefaultMFAAdapter

from lib.sealing import seal, unseal

CONTEXT = "mfa"


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Seals the secret of an authenticator app and the seed of the recovery codes; a stolen table opens nothing.

    allauth can show unused recovery codes only because it can make them again from their seed, so they cannot be
    hashed one by one; the seed is encrypted instead, with a key that is not in the database.
    """

    def encrypt(self, text: str) -> str:
        """What goes into the database."""
        return seal(text, context=CONTEXT)

    def decrypt(self, encrypted_text: str) -> str:
        """What was sealed."""
        return unseal(encrypted_text, context=CONTEXT)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """How a device names the site that a passkey is for."""
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": "Candor"}
