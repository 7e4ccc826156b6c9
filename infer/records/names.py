"""Names of the files and folders that runs leave under ``outputs/``, each said once."""

RUNS, SWEEPS = "runs", "sweeps"
"""Folders of ``outputs/`` that hold runs and sweeps; every other one holds a kind of artefact."""

# In the folder of a run, and of every job of a sweep; the report and the figures also in a sweep's.
RESULT = "result.json"
LOG = "infer.log"
PROGRESS = "progress.json"
"""Progress of a run that has not ended; an old one is of a run that was killed."""
OVERRIDES = ".hydra/overrides.yaml"
"""The words that the run was started with; Hydra writes it before the work."""
DISTILLED = "distilled"
"""Subfolder with the run's own copy of its distilled set."""
REPORT = "report.html"
ROBUST_SCORES = "score.json"
"""Scores that ``infer score`` found for a run."""
FIGURES = "figures"
"""Subfolder with the pictures of a run or sweep as SVG and PDF."""
ANALYSES = "analyses"
"""Subfolder with the figures of the analyses."""

# In the folder of a sweep.
SWEEP = "sweep.json"
STUDY = "study.db"
"""Optuna's record of a search."""
SNAPSHOT = ".snapshot"
"""Settings and code as they were when the sweep was submitted."""
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
"""Parts of a set, stored as ``tensor_file`` of each."""

# In the folder of a kind of artefact, and of all; the cache in ``outputs/`` alone.
SET_ASIDE = ".set-aside"
"""Artefacts that were damaged or made again."""
MAKING = ".making-"
"""Start of the name of an unfinished artefact's folder."""
LOCKS = ".locks"
CACHE = ".cache"
"""Folder of ``outputs/`` with the measured facts of data sets, and with timings."""
TRASH = ".trash"
"""Folder of ``outputs/``, and of a disk that is linked into it, of what ``infer gc`` and ``infer rm`` set aside, by day
and time."""


def tensor_file(part: str) -> str:
    """The file of a ``part`` of a distilled set."""
    return f"{part}.safetensors"
