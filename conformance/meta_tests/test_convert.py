"""Conversion, held to training itself: what the target would have accumulated, and what it would have put out."""

from dataclasses import replace

import numpy as np
import pytest

import bnspec
from bnspec import BatchNorm, Params, Renorm, State, convert
from bnspec.batchnorm._history import opposite
from bnspec.conventions import ALL, EQUINOX, HAIKU, KERAS, KERAS_2, NFLOWS, TORCH, TORCH_CUMULATIVE
from bnspec_conformance.bounds import DEFINITION, FORMATS, accumulated

N = 5
BATCHES = np.random.default_rng(17).normal(2.0, 3.0, (4, N, 3)) * [1.0, 0.125, 30.0] + [0.0, 7.0, -4.0]
U = FORMATS["float64"].roundoff
FEW = accumulated(16, U)  # the roundings of one conversion and of its way back
FIELDS = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")


def train(spec, batches=BATCHES):
    params, state = spec.init(batches.shape[1:], like=batches)
    for batch in batches:
        _, state = spec.apply(params, state, batch, training=True)
    return state


def configured(convention, keep=0.9375, **options):
    """A momentum whose two directions are both exact."""
    momentum = None if convention.momentum is None else keep if convention.momentum_weighs == "old" else 1.0 - keep
    return BatchNorm(axis=-1, convention=convention, momentum=momentum, **options)


def assert_close(found, wanted, batches=BATCHES, keep=0.9375):
    """Two trainings and one conversion; what the batches left is at least 1 - keep^n of what was stored."""
    n = len(batches)
    roundings = 2 * (6 * n + DEFINITION.additions(batches.shape[1]) + 8)
    part = 1.0 if keep is None or not n else 1.0 - keep**n
    size = np.abs(batches).max((0, 1), initial=1.0)
    for name in FIELDS:
        if getattr(wanted, name) is None:
            assert getattr(found, name) is None
            continue
        scale = size if name in ("moving_mean", "renorm_mean", "moving_stddev", "renorm_stddev") else 4.0 * size**2
        error = np.abs(getattr(found, name) - getattr(wanted, name))
        assert (error <= accumulated(roundings, U) / part**2 * scale).all(), name
    assert found.num_batches == wanted.num_batches


def assert_same(found, wanted):
    for name in (*FIELDS, "num_batches"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)


def kind(convention):
    """Exponential and debiased averages weight batches alike; each of the others is alone."""
    if convention.momentum is None:
        return "cumulative"
    return "first" if convention.average == "first" else "geometric"


@pytest.mark.parametrize("source", ALL, ids=lambda convention: convention.name)
def test_every_pair_gives_what_the_target_accumulates_or_says_why_not(source):
    spec, refused = configured(source), set()
    state = train(spec)
    for target in ALL:
        try:
            found, _, after = convert(state, spec, target, keep="statistics", count=N)
        except ValueError as error:
            assert "moving_mean must weight the batches alike" in str(error)  # noqa: PT017 - a loop over targets
            refused.add(target.name)
        else:
            assert found.convention == target
            assert_close(after, train(found))
    assert refused == {target.name for target in ALL if kind(target) != kind(source)}


@pytest.mark.parametrize("source", ALL, ids=lambda convention: convention.name)
def test_after_one_batch_and_after_none_everything_converts(source):
    spec = configured(source)
    for number in (0, 1):
        state = train(spec, BATCHES[:number])
        for target in ALL:
            wanted = configured(target, 0.75)
            found = convert(state, spec, wanted, keep="statistics", count=N).state
            assert_close(found, train(wanted, BATCHES[:number]), BATCHES[:number], 0.75)


@pytest.mark.parametrize("source", ALL, ids=lambda convention: convention.name)
def test_the_way_there_and_back_is_the_same(source):
    spec = configured(source)
    state = train(spec)
    for target in ALL:
        if kind(target) != kind(source):
            continue
        there = convert(state, spec, target, keep="statistics", count=N)
        back = convert(there.state, there.spec, source, keep="statistics", count=N)
        assert back.spec == spec
        for found, wanted in zip(back.state[:2], state[:2], strict=True):
            size = np.abs(wanted) + 1.0
            assert (np.abs(found - wanted) <= FEW / (1.0 - 0.9375**4) * size).all()
        if source.initial_variance == target.initial_variance and (source.average, source.running_variance) == (
            target.average,
            target.running_variance,
        ):
            assert_same(there.state, state)


@pytest.mark.parametrize(
    ("momentum", "other"),
    [(0.1, 0.9), (0.9, 0.1), (0.01, 0.99), (0.999, 0.001), (0.0, 1.0), (1.0, 0.0), (0.3, 0.7), (1e-30, 1.0)],
)
def test_the_other_momentum_is_that_of_the_decimal(momentum, other):
    assert opposite(momentum) == other


def test_a_convention_as_target_changes_the_direction_and_nothing_else():
    state = train(BatchNorm(axis=-1, convention=TORCH))
    renorm = Renorm(momentum=0.01)
    source = BatchNorm(axis=-1, epsilon=0.5, scale=False, convention=replace(TORCH, running_variance="population"))
    spec = convert(state, source, KERAS, keep="statistics").spec
    assert spec == BatchNorm(axis=-1, momentum=0.9, epsilon=0.5, scale=False, convention=KERAS)
    assert convert(state, spec, TORCH, keep="output").spec.momentum == 0.1
    full = train(replace(source, renorm=renorm))
    assert convert(full, replace(source, renorm=renorm), KERAS, keep="statistics").spec.renorm.momentum == 0.99
    assert convert(state, TORCH_CUMULATIVE, KERAS, keep="output").spec.momentum == KERAS.momentum
    assert convert(state, KERAS, TORCH_CUMULATIVE, keep="output").spec.momentum is None


def test_a_momentum_that_was_subtracted_in_binary_is_the_same():
    state = train(configured(KERAS))
    for old, new in ((0.9, 1 - 0.9), (0.1, 1 - 0.1), (1 - 0.9, 0.9), (0.99, 1 - 0.99)):
        source = BatchNorm(convention=KERAS, momentum=old)
        target = BatchNorm(axis=-1, convention=replace(TORCH, running_variance="population"), momentum=new)
        assert_same(convert(state, source, target, keep="statistics").state, state)


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_momentum_at_its_ends(keep):
    population = [replace(KERAS, average=kind, initial_variance=0.5) for kind in ("exponential", "debiased", "first")]
    outcomes = {}
    for source in population:
        state = train(configured(source, keep))
        for target in population:
            try:
                found = convert(state, configured(source, keep), configured(target, keep), keep="statistics").state
            except ValueError:
                outcomes[source.average, target.average] = False
            else:
                outcomes[source.average, target.average] = True
                assert_close(found, train(configured(target, keep)), keep=None)
    assert all(outcomes[a, b] == (keep == 0.0 or a == b) for a, b in outcomes)


def test_the_debiased_average_that_forgets_nothing_is_the_cumulative_one():
    debiased = configured(replace(KERAS, average="debiased"), 1.0)
    state = train(debiased)
    for target in (replace(debiased, momentum=None), replace(debiased, momentum=None, convention=KERAS)):
        assert_close(convert(state, debiased, target, keep="statistics").state, train(target), keep=None)


def test_averages_of_which_only_the_mean_is_debiased():
    slim = configured(replace(KERAS, average="debiased_mean"))
    state = train(slim)
    for target in (KERAS, replace(KERAS, average="debiased"), TORCH):
        found, _, after = convert(state, slim, target, keep="statistics", count=N)
        assert_close(after, train(found))


@pytest.mark.parametrize("weighs", ["old", "new"])
@pytest.mark.parametrize("average", ["exponential", "debiased", "debiased_mean"])
def test_renormalization(average, weighs):
    source = configured(KERAS, renorm=Renorm(rmax=3.0, dmax=5.0, momentum=0.75))
    convention = replace(KERAS, average=average, initial_variance=0.25, momentum_weighs=weighs)
    found, _, after = convert(train(source), source, convention, keep="statistics")
    assert found.renorm.momentum == (0.75 if weighs == "old" else 0.25)
    assert_close(after, train(found), keep=0.75)
    assert_close(convert(train(source, BATCHES[:0]), source, found, keep="statistics").state, train(found, BATCHES[:0]))


def test_ghost_batches():
    batches = BATCHES[:, :4]
    mean, merged, each = (
        configured(replace(TORCH, ghost_update=update), virtual_batch_size=2) for update in ("mean", "merged", "each")
    )
    for source, count in ((mean, 2), (each, 2), (merged, 4)):
        population = replace(source.convention, running_variance="population")
        found, _, after = convert(train(source, batches), source, population, keep="statistics", count=count)
        assert_close(after, train(found, batches), batches)
    whole = replace(merged, virtual_batch_size=None)
    assert_close(
        convert(train(merged, batches), merged, whole, keep="statistics").state, train(whole, batches), batches
    )
    for other in (whole, merged, each, replace(mean, virtual_batch_size=1)):
        with pytest.raises(ValueError, match="must have the same ghost batches"):
            convert(train(mean, batches), mean, other, keep="statistics", count=2)


def outputs(spec, params, state):
    return spec.apply(params, state, BATCHES[0], training=False)[0]


def parameters(spec):
    rng = np.random.default_rng(3)
    return Params(*(rng.normal(2.0, 1.0, 3) if present else None for present in (spec.scale, spec.center)))


@pytest.mark.parametrize("target", ALL, ids=lambda convention: convention.name)
@pytest.mark.parametrize("renorm", [None, Renorm()])
@pytest.mark.parametrize("other", [None, Renorm()])
def test_the_output_is_kept(target, renorm, other):
    source = BatchNorm(axis=-1, convention=HAIKU, epsilon=0.0625, renorm=renorm)
    if target.statistics == "running":
        other = None
    wanted = BatchNorm(axis=-1, convention=target, epsilon=0.125, renorm=other)
    state, params = train(source), parameters(source)
    found = convert(state, source, wanted, keep="output", params=params)
    assert found.spec is wanted
    y = outputs(source, params, state)
    moved = 1.0 + (source.epsilon + wanted.epsilon) / (state.moving_variance + source.epsilon)
    error = np.abs(outputs(*found) - y)
    assert (error <= FEW * (np.abs(y - params.beta) * moved + np.abs(params.beta))).all()
    if other is not None:
        total = found.state.moving_variance + wanted.epsilon
        assert (np.abs(found.state.moving_stddev**2 - total) <= FEW * (total + 1.0)).all() or renorm is not None
    wanted.apply(*found[1:], BATCHES[0], training=True)


def test_the_output_of_the_same_epsilon_is_kept_to_the_last_bit():
    state = train(configured(KERAS))
    found = convert(state, configured(KERAS), EQUINOX, keep="output")
    assert_same(found.state, state)
    assert not any(np.shares_memory(a, b) for a, b in zip(found.state[:3], state[:3], strict=True))


def test_a_variance_that_cannot_make_up_for_epsilon_is_refused():
    state = State(np.zeros(2), np.asarray([1.0, 9e-4]), np.asarray(1))
    target = BatchNorm(convention=KERAS, momentum=0.9)
    with pytest.raises(ValueError, match=r"must not be below target's epsilon in any channel. Got least=0.0009"):
        convert(state, TORCH, target, keep="output")
    convert(state._replace(moving_variance=np.asarray([1.0, 1e-3])), TORCH, target, keep="output")


def test_parameters_come_along():
    source = BatchNorm(axis=-1, center=False)
    state, params = train(source), Params(np.asarray([1.0, 2.0, 3.0]), None)
    found = convert(state, source, BatchNorm(axis=-1), keep="output", params=params).params
    np.testing.assert_array_equal(found, [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    assert not np.shares_memory(found.gamma, params.gamma)
    assert convert(state, source, BatchNorm(axis=-1), keep="output").params is None
    assert convert(state, source, TORCH, keep="output", params=params).params.beta is None
    with pytest.raises(ValueError, match="target must have a gamma, because source has one"):
        convert(state, source, BatchNorm(scale=False), keep="output", params=params)
    with pytest.raises(ValueError, match="beta must be None with the source's configuration"):
        convert(state, source, KERAS, keep="output", params=Params(params.gamma, params.gamma))


def test_feature_axes_correspond_in_ascending_order():
    x = np.random.default_rng(2).normal(size=(5, 2, 3, 4))
    first, last = BatchNorm(axis=(1, 3)), BatchNorm(axis=(2, 3))
    state = train(first, x[None])
    assert state.moving_mean.shape == (1, 2, 1, 4)
    found = convert(state, first, last, keep="statistics").state
    np.testing.assert_array_equal(found.moving_mean, train(last, x.transpose(0, 2, 1, 3)[None]).moving_mean)
    for source, target in ((first, BatchNorm()), (first, BatchNorm(axis=(1, 2, 3))), (BatchNorm(), BatchNorm())):
        with pytest.raises(ValueError, match=r"one feature axis|as many of them"):
            convert(state, source, target, keep="output")


def test_half_precision_is_widened_and_narrowed_only_on_demand():
    half = [value.astype(np.float16) for value in train(BatchNorm(axis=-1, convention=HAIKU))[:2]]
    state = State(*half, np.asarray(4))
    widened = convert(state, HAIKU, KERAS, keep="output").state
    np.testing.assert_array_equal(widened[:2], np.asarray(half, np.float32))
    assert widened.moving_mean.dtype == np.float32
    assert convert(state, HAIKU, HAIKU, keep="statistics").state.moving_mean.dtype == np.float16
    back = convert(widened, KERAS, HAIKU, keep="output", dtype=np.float16).state
    np.testing.assert_array_equal(back[:2], half)
    assert convert(widened, KERAS, HAIKU, keep="output").state.moving_mean.dtype == np.float32
    large = widened._replace(moving_variance=np.float32([1.0, 70000.0, 1.0]))
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=r"dtype must hold every value. Got dtype='float16'"),
    ):
        convert(large, KERAS, HAIKU, keep="output", dtype=np.float16)
    lost = widened._replace(moving_variance=np.float32([1.0, np.inf, np.nan]))
    np.testing.assert_array_equal(
        convert(lost, KERAS, HAIKU, keep="output", dtype=np.float16).state.moving_variance, [1.0, np.inf, np.nan]
    )


def test_every_backend_converts_as_numpy_does(backend):
    source, target = configured(TORCH), configured(KERAS)
    plain = State(*(np.asarray(value, np.float32) for value in train(source)[:2]), np.asarray(4, np.int32))
    state = State(*(backend.asarray(value) for value in plain[:3]))
    params = Params(*(backend.asarray(np.float32([1.0, 2.0, 3.0])) for _ in range(2)))
    kept = [backend.to_numpy(leaf).copy() for leaf in (*state[:3], *params)]
    for keep in ("output", "statistics"):
        wanted = convert(plain, source, replace(target, epsilon=0.5), keep=keep, count=N).state
        _, after, found = convert(state, source, replace(target, epsilon=0.5), keep=keep, count=N, params=params)
        assert all(backend.owns(leaf) for leaf in (*found[:3], *after))
        for a, b in zip(found[:2], wanted[:2], strict=True):
            a = backend.to_numpy(a)  # noqa: PLW2901 - the same value
            assert a.dtype == np.float32
            assert (np.abs(a - b) <= accumulated(8, FORMATS["float32"].roundoff) * (np.abs(b) + 1.0)).all()
        assert backend.to_numpy(found.num_batches) == 4
    for before, leaf in zip(kept, (*state[:3], *params), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(leaf), before)


GOOD = State(np.asarray([0.5, 1.0]), np.asarray([2.0, 3.0]), np.asarray(3))
POPULATION = replace(TORCH, running_variance="population")


@pytest.mark.parametrize(
    ("state", "source", "target", "options", "text"),
    [
        (GOOD, TORCH, KERAS, {}, "count must say how many elements per channel each batch had, as moving_variance"),
        (GOOD, KERAS_2, BatchNorm(epsilon=0.5, convention=KERAS_2), {}, "count must say"),
        (GOOD._replace(num_batches=None), TORCH, KERAS, {"count": 4}, "num_batches must say how many batches entered"),
        (GOOD._replace(num_batches=None), NFLOWS, TORCH, {}, "num_batches must say how many batches entered"),
        (GOOD, POPULATION, TORCH_CUMULATIVE, {"count": 4}, "moving_mean must weight the batches alike"),
        (GOOD, POPULATION, BatchNorm(momentum=0.8), {}, "moving_mean must weight the batches alike"),
        (GOOD, BatchNorm(momentum=1.0), BatchNorm(momentum=0.5), {}, "moving_mean must weight the batches alike"),
        (GOOD._replace(num_batches=np.asarray(2)), KERAS, BatchNorm(momentum=0.8), {}, "must weight the batches alike"),
        (
            GOOD._replace(num_batches=np.asarray(1)),
            BatchNorm(momentum=1.0),
            BatchNorm(momentum=0.5),
            {},
            "must weight the batches alike",
        ),
        (GOOD, KERAS, BatchNorm(renorm=Renorm()), {}, "must have the same stddev of renormalization"),
        (GOOD._replace(num_batches=np.asarray(0)), KERAS, NFLOWS, {}, "moving_variance must be the initial value 1.0"),
        (GOOD._replace(moving_variance=np.asarray([0.5, 0.1])), KERAS, HAIKU, {}, "must hold the initial value 1.0"),
        (GOOD._replace(num_batches=np.asarray(-1)), KERAS, HAIKU, {}, "num_batches must not be negative"),
        (GOOD._replace(moving_stddev=GOOD.moving_mean), KERAS, HAIKU, {}, "moving_stddev must be None with"),
        (GOOD, BatchNorm(renorm=Renorm()), KERAS, {}, "moving_stddev must be an array with"),
        (
            GOOD._replace(moving_mean=np.zeros(3)),
            KERAS,
            HAIKU,
            {},
            "moving_variance must have the shape of moving_mean",
        ),
        (GOOD, TORCH, KERAS, {"count": 0}, "count must be finite and positive"),
        (GOOD, TORCH, KERAS, {"count": float("nan")}, "count must be finite and positive"),
        (GOOD, TORCH, KERAS, {"keep": "both"}, "keep must be 'output' or 'statistics'"),
    ],
)
def test_what_is_missing_or_wrong_is_said(state, source, target, options, text):
    with pytest.raises(ValueError, match=text):
        convert(state, source, target, **{"keep": "statistics", **options})


@pytest.mark.parametrize(
    ("state", "source", "options", "text"),
    [
        (GOOD, "TORCH", {}, "source must be a bnspec.BatchNorm or a bnspec.conventions.Convention"),
        (tuple(GOOD), KERAS, {}, "state must be a bnspec.State"),
        (GOOD, KERAS, {"count": "4"}, "count must be a real number or None"),
        (GOOD, KERAS, {"params": GOOD}, "params must be a bnspec.Params"),
        (GOOD._replace(num_batches=np.asarray(3.0)), KERAS, {}, "num_batches must be an integer array"),
        (GOOD, KERAS, {"dtype": np.int32}, "dtype must be real floating"),
        (GOOD._replace(moving_mean=np.asarray([1, 2])), KERAS, {}, "moving_mean must be real floating"),
    ],
)
def test_what_is_of_another_type_is_said(state, source, options, text):
    with pytest.raises(TypeError, match=text):
        convert(state, source, HAIKU, keep="statistics", **options)


def test_a_number_that_is_not_needed_may_be_missing():
    unknown = GOOD._replace(num_batches=None)
    assert convert(unknown, TORCH, KERAS, keep="output").state.num_batches is None
    assert convert(unknown, TORCH, TORCH, keep="statistics").state.num_batches is None


def test_rounding_alone_is_never_taken_for_another_source():
    """Constant channels leave nothing but the initial value, which float32 rounds to less than it is at times."""
    x, below = np.full((2, 2), 3.0, np.float32), 0
    for keep in (0.99, 0.9, 0.7, 0.6):
        source = configured(KERAS, keep)
        params, state = source.init(x.shape, like=x)
        for number in range(1, 31):
            _, state = source.apply(params, state, x, training=True)
            below += state.moving_variance[0] < np.float32(keep**number)
            found = convert(state, source, HAIKU, keep="statistics").state
            assert (found.moving_variance >= 0).all()
    assert below


def test_a_released_torch_layer_becomes_what_keras_accumulates():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(3, momentum=0.0625, dtype=torch.float64)
    for batch in BATCHES[:3]:
        layer(torch.tensor(batch))
    state = State(layer.running_mean, layer.running_var, layer.num_batches_tracked)
    source = BatchNorm(convention=TORCH, momentum=0.0625)
    spec, _, found = convert(state, source, KERAS, keep="statistics", count=N)
    assert spec.momentum == 0.9375
    wanted = train(spec, BATCHES[:3])
    assert_close(State(*(value.numpy() for value in found[:3])), wanted, BATCHES[:3])
    assert not np.allclose(state.moving_variance.numpy(), wanted.moving_variance)
    params = Params(layer.weight, layer.bias)
    after = convert(state, source, KERAS, keep="output", params=params)
    assert not after.params.gamma.requires_grad
    assert bnspec.BatchNorm(axis=1, momentum=0.9375, epsilon=1e-5) == after.spec
