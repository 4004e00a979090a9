"""Everything that is made from the result files: the plots, the page of numbers, README's rows.

    python -m benchmarks.pages

makes them anew without measuring, say after `python -m benchmarks.styles`. A quick run's figures get a page of their
own beside them and never reach the two that are read.
"""

from pathlib import Path

from benchmarks import plots, readme_table, report, suite
from benchmarks.harness import root

PAGE = root() / "docs" / "numbers.md"
README = root() / "README.md"


def publish(results: Path) -> list[Path]:
    """Write what is made from `results`; return the texts' paths."""
    plots.draw_all(results)
    if results != suite.RESULTS:
        page = results / PAGE.name
        page.write_text(report.page(results, page), "utf-8")
        return [page]
    PAGE.write_text(report.page(results, PAGE), "utf-8")
    README.write_text(readme_table.put(README.read_text("utf-8"), results), "utf-8")
    return [PAGE, README]


if __name__ == "__main__":
    publish(suite.RESULTS)
