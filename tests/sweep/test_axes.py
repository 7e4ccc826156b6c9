"""Combinations of a sweep's values: all, those that go together, explicit ones, and those that are left out."""

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from infer.config.sweep import SweepConfig
from infer.errors import UsageError
from infer.sweep.axes import Combinations, combine
from infer.sweep.exclusions import Exclusion


def combined(words: str, **settings: list) -> Combinations:
    """The jobs of the words of a command line."""
    return combine(OverridesParser.create().parse_overrides(words.split()), SweepConfig(**settings))


def jobs_of(words: str, **settings: list) -> list[str]:
    return [" ".join(job) for job in combined(words, **settings).jobs]


@pytest.mark.parametrize(
    "words",
    [
        "",
        "ipc=3 M=1",
        "M=1,2 ipc=3 K=range(3) method=infer,random",
        "M=1,2 M=3,4",
        "~note +cluster.additional.x=[a,b],[c]",
        "evaluate.lr=1e-3,5e-4 note='a','b'",
        "seed=choice(1,2) M=sort(3,1)",
    ],
)
def test_without_settings_the_jobs_are_hydras(words):
    plain = OverridesParser.create().parse_overrides(words.split())
    assert combined(words).jobs == BasicSweeper.split_arguments(plain, None)[0]


def test_settings_that_go_together():
    assert jobs_of("M=1,2 seed=0,1 K=9,7 ipc=3", zip=[["M", "K"]]) == [
        "M=1 K=9 seed=0 ipc=3",
        "M=1 K=9 seed=1 ipc=3",
        "M=2 K=7 seed=0 ipc=3",
        "M=2 K=7 seed=1 ipc=3",
    ]
    assert combined("M=1,2 K=9,7", zip=[["K", "M"]]).swept == {"M": ["1", "2"], "K": ["9", "7"]}
    assert len(jobs_of("M=1,2 K=9,7 a=1,2,3 b=1,2,3", zip=[["M", "K"], ["a", "b"]])) == 6


def test_explicit_points():
    found = combined("seed=0,1 ipc=3", points=["M=1 K=9", "M=4 evaluate.lr=1e-3"])
    assert [" ".join(job) for job in found.jobs] == [
        "seed=0 ipc=3 M=1 K=9",
        "seed=0 ipc=3 M=4 evaluate.lr=0.001",
        "seed=1 ipc=3 M=1 K=9",
        "seed=1 ipc=3 M=4 evaluate.lr=0.001",
    ]
    assert found.swept == {"seed": ["0", "1"], "M": ["1", "4"], "K": ["9"], "evaluate.lr": ["0.001"]}


def test_gaps():
    found = combined("M=1,2,3 ipc=1,10", exclude=["M>2 and ipc<5"])
    assert [job for job in found.jobs if "M=3" in job] == [["M=3", "ipc=10"]]
    assert len(found.jobs) == 5 and found.num_left_out == 1
    assert jobs_of("M=1,2,3 K=9,7,5", zip=[["M", "K"]], exclude=["K == 7"]) == ["M=1 K=9", "M=3 K=5"]
    assert len(jobs_of("M=1,2 seed=0,1", exclude=["M==1 and seed==0", "M==2 and seed==1"])) == 2
    assert jobs_of("", points=["M=1 K=9", "ipc=3"], exclude=["M==1"]) == ["ipc=3"]  # one without M stays


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("M > 2", True),
        ("M >= 4 or ipc == 1", False),
        ("not M == 3", False),
        ("1 < M <= 3 < ipc", True),
        ("method in ['infer', 'random']", True),
        ("method not in ('infer',)", False),
        ("method != 'sre2l' and M != 2", True),
        ("evaluate.lr < 1e-3", True),
        ("evaluate.lr < -5e-4", False),
        ("K == null", True),
        ("force == true", True),
        (" (M==3) ", True),
    ],
)
def test_what_an_expression_means(text, holds):
    values = {"M": 3, "ipc": 10, "method": "infer", "evaluate.lr": 5e-4, "K": None, "force": True}
    assert Exclusion(text, values).holds_for(values) is holds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("__import__('os').system('touch x')", "comparisons of"),
        ("M.__class__ == 1", "M.__class__ is not a swept setting"),
        ("(lambda: 1)() == 1", "comparisons of"),
        ("[x for x in 'ab'] == M", "comparisons of"),
        ("M**9**9**9 > 1", "comparisons of"),
        ("f'{M}' == 1", "comparisons of"),
        ("M[0] == 1", "comparisons of"),
        ("M is 1", "comparisons of"),
        ("M > None", "comparisons of"),
        ("M >", "not an expression"),
        ("", "not an expression"),
        ("(" * 2000 + "M" + ")" * 2000, "not an expression"),
        ("not " * 200 + "M", ""),
        ("K > 2", "K is not a swept setting; there are M, method"),
        ("method == infer", "text needs quotes: 'infer'"),
        ("M > 'a'", "'>' not supported"),
        ("M in 3", "not iterable"),
        ("-method == 1", "bad operand"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*literal:SyntaxWarning")
def test_what_is_no_expression(text, says):
    values = {"M": 3, "method": "infer"}
    if not says:
        assert Exclusion(text, values).holds_for(values) is True  # 200 times not
        return
    with pytest.raises(UsageError) as refusal:
        Exclusion(text, values).holds_for(values)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("words", "settings", "says"),
    [
        ("M=1,2 K=9,7,5", {"zip": [["M", "K"]]}, "sweep.zip=[[M,K]] is not possible: M 2 and K 3 values cannot"),
        ("M=1,2 K=9", {"zip": [["M", "K"]]}, "K does not have several values here; these have: M"),
        ("M=1,2", {"zip": [["M"]]}, "two settings or more"),
        ("M=1,2 K=9,7 seed=0,1", {"zip": [["M", "K"], ["M", "seed"]]}, "M is named twice"),
        ("M=1,2 K=9,7", {"zip": [["M", "M"]]}, "M is named twice"),
        ("M=1,2", {"exclude": ["M>0"]}, "it leaves none of 2 combinations"),
        ("M=1", {"exclude": ["M>0"]}, "M is not a swept setting; there are none"),
        ("M=1,2", {"points": ["M=1"]}, "M has a value outside the points too"),
        ("M=1", {"points": ["M=2"]}, "M has a value outside the points too"),
        ("", {"points": ["M=1,2"]}, "one value for M in a point"),
        ("", {"points": ["M=1 M=2"]}, "M is named twice"),
        ("", {"points": ["M"]}, "M is not key=value"),
        ("", {"points": [""]}, "one setting or more"),
    ],
)
def test_settings_that_do_not_fit(words, settings, says):
    with pytest.raises(UsageError) as refusal:
        combined(words, **settings)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_range_without_a_value_is_one_line():
    with pytest.raises(UsageError, match=r"seed=range\(3,1\) is not possible: that gives no value"):
        combined("M=1,2 seed=range(3,1)")
