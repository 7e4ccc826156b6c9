"""``report.html`` of a run: its words, its images, and nothing from outside."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import infer as package
from infer.commands.main import run as infer
from infer.errors import UsageError
from infer.reports.gallery import gallery_of
from infer.reports.run import write_page

LARGEST_PAGE = 5_000_000


def page_of(run) -> str:
    return write_page(run, run.folder.parents[1]).read_text()


def pixels(tile) -> np.ndarray:
    content = base64.b64decode(tile.uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_page_says_what_came_out(make_run):
    page = page_of(make_run())
    assert "INFER with static labels, 26,152 bytes: 98.00 ± 1.00 (3) %; random images with the same labels" in page
    assert "python launch.py" in page and "Unfinished" not in page
    assert page.index('class="verdict"') < page.index("The distilled set") < page.index("<h2>Scores")


def test_it_holds_everything_itself(make_run):
    page = page_of(make_run(size=300))
    links = re.findall(r'(?:src|href)="(?!data:|figures/)([^"]*)"', page)
    assert links == [] and "@import" not in page and "url(" not in page
    assert len(page) < LARGEST_PAGE


def test_names_are_never_html(make_run):
    page = page_of(make_run(error="<script>alert(1)</script>", status="failed"))
    assert "<b>dog</b>" not in page and "&lt;b&gt;dog&lt;/b&gt;" in page
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_an_unfinished_run_is_marked(make_run, status):
    page = page_of(make_run(status=status, error="loss is NaN", metrics={}, per_student={}, baselines={}))
    assert "Unfinished: this report shows what there is. loss is NaN" in page and 'class="verdict"' not in page


def test_images_are_those_that_a_student_sees(make_run):
    run = make_run()
    gallery = gallery_of(run)
    stored = package.load(run.folder)
    levels = ((stored.images * 0.25 + 0.5) * 255).round().to("cpu").permute(0, 2, 3, 1).numpy().astype(np.uint8)
    shown = [tile for grid in gallery.subsets for row in grid.rows for tile in row.tiles[1:]]
    assert len(gallery.subsets) == 2 and len(shown) == len(levels) == 18
    for tile, expected in zip(shown, levels, strict=True):
        assert np.abs(pixels(tile).astype(int) - expected).max() <= 1
    assert (
        gallery.subsets[0].rows[0].tiles[0] is None
        and "compensator of resnet8" in gallery.subsets[0].rows[1].tiles[0].caption
    )


def test_surest_and_least_sure_follow_the_stored_logits(make_run):
    run = make_run()
    stored = package.load(run.folder)
    of_target = stored.logits.softmax(dim=1)[range(18), stored.targets]
    surest, least = gallery_of(run).ranked.values()
    assert surest[0].caption.startswith(
        f"{stored.classes[stored.targets[of_target.argmax()]]}: {100 * of_target.max():.0f} %"
    )
    assert least[0].caption.startswith(
        f"{stored.classes[stored.targets[of_target.argmin()]]}: {100 * of_target.min():.0f} %"
    )


def test_finished_images_by_class(make_run):
    gallery = gallery_of(make_run(kind="images", size=100))
    (grid,) = gallery.subsets
    assert [len(row.tiles) for row in grid.rows] == [3, 3] and gallery.ranked == {}
    assert not gallery.is_small and grid.rows[0].tiles[0].uri.startswith("data:image/webp")


def test_images_that_cannot_be_read_are_left_out_with_a_warning(make_run, caplog):
    run = make_run()
    (run.folder / "distilled" / "natural.safetensors").write_bytes(b"damaged")
    page = page_of(run)
    assert "The distilled set" not in page and "<h2>Scores" in page
    assert "the images of the report could not be drawn" in caplog.text


def test_the_command_makes_it_again_and_says_where_no_browser_is(make_run, capsys, monkeypatch):
    run = make_run()
    words = ["report", str(run.folder), "--outputs", str(run.folder.parents[1])]
    assert infer(words) == 0 and (run.folder / "report.html").is_file()
    assert "report.html, samples.png" in capsys.readouterr().out
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert infer([*words, "--open"]) == 2
    assert "no browser was found here. Open it yourself" in capsys.readouterr().err


def test_a_run_without_a_record_has_no_report(make_run):
    run = make_run()
    (run.folder / "result.json").write_text("{")
    with pytest.raises(UsageError, match="has nothing to show"):
        from infer.commands.report import _report_run

        _report_run(type(run)(run.name, run.folder), run.folder.parents[1])
