"""Text of ``launch.py --help``: all choices and settings. Hydra's own help is slower, since it lists its plug-ins."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from infer.config.presets import VARIANT, variants

_HEADER = """\
Make a distilled data set and measure it: squeeze (train teachers), generate (distil), relabel, evaluate (train
students), report. Words are group=option or key=value; examples are at the end. README.md explains the terms.
"""
_FOOTER = """\
Every setting is documented where its default stands, in infer/config/ and infer/methods/.

== Examples ==
python launch.py                                    digits, INFER, static labels: everything, on a laptop CPU
python launch.py dataset=cifar100 ipc=10            the setting of the INFER paper (M=4 teachers)
python launch.py 'stages=[squeeze]'                 one part of the pipeline; existing artefacts are reused
python launch.py --cfg job                          print the resolved settings without running
python launch.py -m M=1,2,3 evaluate.lr=1e-3,5e-4   a sweep
python launch.py --hydra-help                       Hydra's own flags
infer --help                                        commands that list, compare and check what was made\
"""
_NOT_TYPED = ("user", "method/settings")


def is_asked(words: list[str]) -> bool:
    """True if the command line asks for help."""
    return "--help" in words or "-h" in words


def text(conf: Path, words: list[str]) -> str:
    """The help for a command line: the choices, and the settings that follow from ``words``."""
    with initialize_config_dir(config_dir=str(conf), version_base="1.3"):
        settings = compose("config", overrides=[word for word in words if not word.startswith("-")])
    parts = [
        _HEADER,
        "== Choices (group=option) ==",
        *_choices(conf),
        "",
        "== Settings (key=value) ==",
    ]
    return "\n".join([*parts, OmegaConf.to_yaml(settings), _FOOTER])


def _choices(conf: Path) -> list[str]:
    """A line with the options of each group."""
    options: dict[str, list[str]] = {}
    for preset in sorted(conf.rglob("*.yaml")):
        options.setdefault(preset.parent.relative_to(conf).as_posix(), []).append(preset.stem)
    options[VARIANT] = [str(name) for name in variants()]
    return [f"{group}: {', '.join(names)}" for group, names in options.items() if group not in (".", *_NOT_TYPED)]
