"""allauth's hooks for second factors: what it keeps of them is sealed."""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.utils.translation import gettext

from accounts.models import User
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

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # allauth's name
        """What a key is called until its owner names it."""
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return gettext("Key %(number)d") % {"number": number}

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """How a device names the site that a passkey is for."""
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": "Candor"}
