"""INFER: dataset distillation from one command, measured honestly.

``infer.load(path)`` opens a distilled set as a ``torch.utils.data.Dataset``.

The package is a list of layers: each imports only layers below it, also inside functions (tests/test_architecture.py).
Layers with a star are imported without torch, so that commands answer at once.

    entry.py *          entries of the commands
    commands/           ``infer ls``, ``show``, ``diff``, ``import``, ...: one file each
    cli.py *            ``launch.py``: the entry of Hydra
    sweep/              sweeps: planning, jobs, the callback of Hydra
    pipeline/           one run: plan, check, make, report
    costs/              time, disk and memory of a run, before its first second of work
    stages/             squeeze, generate, relabel, evaluate, report: one file each
    reports/ *          report.html of runs and sweeps, from records alone
    plots/ *            pictures, from records alone
    evaluation/         students, the protocol, the comparison with baselines
    analyses/           analyses of a distilled set: similarity, interpolation, boundary, conflict, dominance
    labels/             label modes: hard, static, dynamic, fkd; labels of imported sets
    methods/            distillation methods: one file each, and what they share
    teachers/           trained networks as artefacts: the base class, the teacher
    context.py          settings, data, store and device of a run
    training/           the training loop: batches, augmentation, mixing, checkpoints
    models/             architectures by name, published weights
    formats/            distilled sets of other tools: reading and writing
    distilled/          the package's own format of a distilled set
    data/               data sets
    store/              artefacts: signatures, locks, atomic commits
    progress/ *         counts, rates and times left of a run's loops, on the terminal and in its folder
    records/ *          records of runs and sweeps: reading, tables, differences
    exit_codes.py *     errors as one line and an exit code
    explanations.py *   errors of Hydra in one line
    cluster/ *          SLURM and local processes for the jobs of a sweep
    help.py *           ``launch.py --help``
    config/ *           settings as dataclasses, with their checks
    tables.py *         tables on the terminal and in files
    console.py *        lines and tables on the terminal
    environment.py      device, precision, versions, commit
    normalisation.py    mean and standard deviation of pixels
    torch_load.py       other programs' ``torch.save`` files, read without running code
    work.py *           the work of an artefact: passes of images through networks
    ranks/ *            several processes that share one piece of work: what they tell each other
    interruption.py *   signals that end the program, obeyed where work can be kept
    seeds.py *          independent streams of random numbers
    words.py *          words of command lines, names of files
    ranges.py *         consecutive ranges of a count
    files.py *          atomic writes, checksums, canonical JSON
    errors.py *         errors of the user and of a run
"""

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name == "load":  # imported on use: the command line must start without torch
        from infer.distilled.folder import load

        return load
    raise AttributeError(f"module 'infer' has no attribute {name!r}")
