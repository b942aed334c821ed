import pytest

from bandit_service.catalog.model import Variant
from bandit_service.policy import chooser as choosing
from bandit_service.policy.chooser import Candidates, Chooser, distribute, without_knowledge
from bandit_service.policy.lesson import Lesson
from bandit_service.policy.prediction import Prediction
from bandit_service.policy.settings import PolicySettings, SiteSettings
from bandit_service.policy.snapshot import Snapshot, genesis
from bandit_service.policy.vowpal import VowpalModel

POLICY = PolicySettings(floor=0.1, holdout=0.2)


def candidates(low: float = 0.0, high: float = 1.0) -> Candidates:
    shares = [Variant(id=v, version=1, min_share=low, max_share=high) for v in "abcd"]
    return Candidates.inline("film", shares)


def test_every_candidate_keeps_its_floor_and_the_holdout_its_share() -> None:
    given = distribute(POLICY, candidates(), Prediction([1.0, 0.0, 0.0, 0.0], [0.0] * 4))

    assert given.learned == pytest.approx([0.925, 0.025, 0.025, 0.025])
    assert given.uniform == pytest.approx([0.25] * 4)
    assert given.overall == pytest.approx([0.79, 0.07, 0.07, 0.07])


def test_shares_bound_what_is_learned_and_the_holdout_alike() -> None:
    bounded = candidates(low=0.2, high=0.3)

    given = distribute(POLICY, bounded, Prediction([1.0, 0.0, 0.0, 0.0], [0.0] * 4))

    for probabilities in (given.learned, given.uniform, given.overall):
        assert all(0.2 - 1e-12 <= p <= 0.3 + 1e-12 for p in probabilities)


def test_a_floor_above_a_cap_gives_way_to_it() -> None:
    generous = PolicySettings(floor=1.0, holdout=0.0)
    variants = [Variant(id="a", version=1, max_share=0.1), Variant(id="b", version=1)]

    given = without_knowledge(generous, Candidates.inline("film", variants))

    assert given.overall == pytest.approx([0.1, 0.9])


def test_a_model_driven_out_of_range_chooses_evenly() -> None:
    settings = SiteSettings(policy=PolicySettings(exploration="squarecb", learning_rate=10.0))
    model = VowpalModel(settings.policy)
    for n in range(50):
        model.learn(Lesson("shared |p x", ["|a a", "|a b"], n % 2, 1e38))
    broken = Snapshot(
        settings=settings, position=genesis(settings).position, outcomes=50, model=model.save()
    )
    model.close()
    chooser = Chooser(broken)

    given = chooser.distribution(candidates(), "shared |p x")

    assert given.overall == pytest.approx([0.25] * 4)
    chooser.close()


def test_distributions_are_kept_and_let_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "MAX_KEPT", 3)
    chooser = Chooser(genesis(SiteSettings()))
    few = candidates()

    first = chooser.distribution(few, "shared |p n=0")
    assert chooser.distribution(few, "shared |p n=0") is first
    for n in range(1, 5):
        chooser.distribution(few, f"shared |p n={n}")

    assert chooser.distribution(few, "shared |p n=0") is not first
    assert chooser.distribution(few, "shared |p n=0") == first
    chooser.close()
