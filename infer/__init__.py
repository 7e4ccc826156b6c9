"""INFER: a framework for dataset distillation, configured by Hydra, with comparable evaluation.

It contains INFER, SRe2L, CDA, DWA, RDED, coresets and random real images as the baseline.

``infer.load(path)`` opens a distilled set as a ``torch.utils.data.Dataset``.

The package is a list of layers. Each imports only layers below it, also inside functions (tests/test_architecture.py).
Layers with a star are imported without torch, so that commands start quickly.

    entry.py *          entry points of the commands
    commands/           ``infer ls``, ``show``, ``diff``, ``import``, ...: one file each
    cli.py *            ``launch.py``: the entry point of Hydra
    sweep/              sweeps: planning, jobs, the callback of Hydra
    pipeline/           one run: plan, check, make, report
    costs/              estimates of the time, disk space and memory of a run
    stages/             squeeze, generate, relabel, evaluate, report: one file each
    reports/ *          report.html of runs and sweeps, made from records only
    plots/ *            pictures, made from records only
    evaluation/         students, the protocol, the comparison with baselines
    analyses/           analyses of a distilled set: similarity, interpolation, boundary, conflict, dominance
    labels/             label modes: hard, static, dynamic, fkd; labels of imported sets
    methods/            distillation methods: one file each, and their common parts
    teachers/           trained networks as artefacts: base class and teacher
    context.py          settings, data, store and device of a run
    training/           the training loop: batches, augmentation, mixing, checkpoints
    models/             architectures by name, published weights
    formats/            distilled sets of other tools: reading and writing
    distilled/          the package's own format of a distilled set
    data/               data sets
    store/              artefacts: signatures, locks, atomic commits
    progress/ *         progress of a run's loops, with rates and remaining times, on the terminal and in its folder
    records/ *          records of runs and sweeps: reading, tables, differences
    exit_codes.py *     errors as one line and an exit code
    explanations.py *   errors of Hydra as one line
    cluster/ *          SLURM and local processes for the jobs of a sweep
    help.py *           ``launch.py --help``
    config/ *           settings as dataclasses, with their checks
    tables.py *         tables on the terminal and in files
    console.py *        lines and tables on the terminal
    environment.py      device, precision, versions, commit
    normalisation.py    mean and standard deviation of pixels
    torch_load.py       other programs' ``torch.save`` files, read without running code
    work.py *           the work of an artefact: passes of images through networks
    ranks/ *            several processes that share one piece of work, and their communication
    interruption.py *   signals that end the program, obeyed where a checkpoint can be written
    seeds.py *          independent streams of random numbers
    words.py *          words of command lines and names of files
    ranges.py *         consecutive ranges of a count
    files.py *          atomic writes, checksums, canonical JSON
    errors.py *         errors of the user and of a run
"""

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name == "load":  # imported on use, so that the command line starts without torch
        from infer.distilled.folder import load

        return load
    raise AttributeError(f"module 'infer' has no attribute {name!r}")
