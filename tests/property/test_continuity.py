"""Numbers of members: what the rule admits, against all ways in which members can agree."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from components.continuity.rules import NOTHING, Asked, Found, controllers, majorities_meet, problems

SIZES = st.integers(1, 7)


def asked(members: int = 3, brokers: int = 3) -> Asked:
    return Asked(
        members=members, brokers=brokers, cluster_id="id", storage_class=None, access_mode="ReadWriteOnce", sizes={}
    )


def _majorities(size: int) -> list[set[int]]:
    return [set(each) for each in combinations(range(size), size // 2 + 1)]


@given(SIZES, SIZES)
def test_admitted_changes_lose_nothing(before: int, after: int) -> None:
    """Whoever agreed by the old number, and whoever agrees by the new one, have a member in common: no newcomers alone,
    no two leaders while members restart one by one."""
    safe = all(old & new for old in _majorities(before) for new in _majorities(after))
    assert majorities_meet(before, after) == safe
    refused = [text for name, text in problems(asked(after), asked(before), None, None, {}) if name == "members"]
    assert bool(refused) == (not safe)


@given(st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 3, 5, 7]))
def test_no_step_between_odd_numbers_is_safe(before: int, after: int) -> None:
    assert majorities_meet(before, after) == (before == after)


@given(st.integers(1, 99), st.integers(1, 99), st.none() | st.dictionaries(st.integers(0, 99), st.just(["t"])))
def test_brokers_keep_their_voters_and_their_topics(
    before: int, after: int, holding: dict[int, list[str]] | None
) -> None:
    found = list(problems(asked(brokers=after), asked(brokers=before), None, holding, {}))
    if controllers(before) != controllers(after):
        assert [name for name, _ in found] == ["brokers"]
    elif after >= before:
        assert found == []
    else:
        lost = holding is None or any(broker in holding for broker in range(after, before))
        assert [name for name, _ in found] == ["brokers"] * lost


@given(SIZES, SIZES, SIZES, st.integers(1, 99), st.integers(1, 99))
def test_the_cluster_takes_precedence_over_the_state(
    state: int, there: int, after: int, brokers: int, other: int
) -> None:
    found = Found(members=there, brokers=brokers, cluster_id=None)
    by_state = list(problems(asked(after, brokers), asked(state, other), found, {}, {}))
    assert by_state == list(problems(asked(after, brokers), None, found, {}, {}))
    assert bool(by_state) == (not majorities_meet(there, after))
    # Where nothing holds data, any number will do, whatever the state says.
    assert list(problems(asked(after, brokers), asked(state, other), NOTHING, None, {})) == []
