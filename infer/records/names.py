"""Names of the files and folders that runs write under ``outputs/``."""

RUNS, SWEEPS = "runs", "sweeps"
"""Folders in ``outputs/`` with runs and with sweeps; every other folder holds artefacts of one kind."""

# In the folder of a run, and of every job of a sweep; the report and the figures also in that of a sweep.
RESULT = "result.json"
LOG = "infer.log"
PROGRESS = "progress.json"
"""Progress of a run that has not ended; an old file was left by a run that was killed."""
OVERRIDES = ".hydra/overrides.yaml"
"""The words with which the run was started; Hydra writes the file before the work starts."""
DISTILLED = "distilled"
"""Subfolder with the run's own copy of its distilled set."""
REPORT = "report.html"
ROBUST_SCORES = "score.json"
"""Scores of a run that ``infer score`` has computed."""
FIGURES = "figures"
"""Subfolder with the pictures of a run or sweep as SVG and PDF."""
ANALYSES = "analyses"
"""Subfolder with the figures of the analyses."""

# In the folder of a sweep.
SWEEP = "sweep.json"
STUDY = "study.db"
"""Optuna's record of a search."""
SNAPSHOT = ".snapshot"
"""Copy of settings and code from when the sweep was submitted."""
TABLE_CSV, TABLE_MD = "table.csv", "table.md"

# In the folder of an artefact.
RECORD = "record.json"
HISTORY = "history.json"
"""One row per epoch of the training of a teacher or student."""
PREDICTIONS = "predictions.safetensors"
"""Targets, predictions and confidences of a student's last test, named ``<split>.<tensor>``."""
CURVES = "curves.safetensors"
"""Losses and norms over the iterations of an optimisation."""

# In the folder of a distilled set.
MANIFEST = "manifest.json"
NATURAL, COMPENSATORS, IMAGES, LABELS = "natural", "compensators", "images", "labels"
"""Parts of a set, each stored in the file ``tensor_file(part)``."""

# In the folder of a kind of artefact, or in ``outputs/``.
SET_ASIDE = ".set-aside"
"""Folder with artefacts that were damaged or made again."""
MAKING = ".making-"
"""Beginning of the name of an unfinished artefact's folder."""
LOCKS = ".locks"
CACHE = ".cache"
"""Folder in ``outputs/`` with the measured facts of data sets, and with timings."""
TRASH = ".trash"
"""Folder in ``outputs/``, and on a disk that is linked into it, to which ``infer gc`` and ``infer rm`` move folders, by
day and time."""


def tensor_file(part: str) -> str:
    """Name of the file of a ``part`` of a distilled set."""
    return f"{part}.safetensors"
