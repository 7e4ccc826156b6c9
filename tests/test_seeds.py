"""Every purpose and key has a stream of its own."""

from infer.seeds import generator, torch_seed


def test_streams_depend_on_seed_purpose_and_unit_alone():
    names = [(0, "natural", 1), (1, "natural", 1), (0, "random", 1), (0, "natural", 2), (0, "natural", 1, 0)]
    draws = [generator(*name).integers(0, 2**62) for name in names]
    assert len(set(draws)) == len(names)
    assert generator(*names[0]).integers(0, 2**62) == draws[0]
    assert len({torch_seed(*name) for name in names}) == len(names)
    assert 0 <= torch_seed(0, "natural") < 2**63
