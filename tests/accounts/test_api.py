"""`GET /api/v1/me`."""

import pytest

from tests.people import Person


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("owner", {"role": "owner", "plan": "desk", "accepted": True, "delay_s": 0, "may_write": True}),
        ("readonly", {"role": "readonly", "plan": "desk", "accepted": True, "delay_s": 0, "may_write": False}),
        ("stranger", {"role": "owner", "plan": "pro", "accepted": True, "delay_s": 0, "may_write": True}),
        ("newcomer", {"role": "owner", "plan": "desk", "accepted": False, "delay_s": 900, "may_write": True}),
        ("operator", {"role": None, "plan": "free", "accepted": True, "delay_s": 900, "may_write": False}),
        ("visitor", {"role": None, "plan": "free", "accepted": False, "delay_s": 900, "may_write": False}),
    ],
)
def test_what_the_caller_may_see(name: str, facts: dict[str, object], request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    response = person.client.get("/api/v1/me")
    assert response.status_code == 200
    assert response.json() == facts | {"signed_in": name != "visitor"}


def test_nothing_can_be_written(owner: Person) -> None:
    assert owner.client.post("/api/v1/me", {"plan": "desk"}).status_code == 405
