"""Doctor: what this installation has and lacks, to be read and to be copied into a report."""

from __future__ import annotations

import html
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.settings import get_settings
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTextBrowser, QWidget

from napari_scse._widgets.copy_bar import put_on_clipboard
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import column
from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse._widgets.preferences import read_preferences
from napari_scse.diagnosis import Finding, Section, diagnose, report_text

if TYPE_CHECKING:
    import napari

_TITLE = "look at this installation"


class DoctorWidget(DockedWidget):
    """The Doctor dock widget."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.sections: tuple[Section, ...] = ()
        self._job: Job | None = None
        self.page = QTextBrowser()
        self.page.setMinimumHeight(360)
        self.again = QPushButton("Look again")
        self.copy = QPushButton("Copy report")
        self.copy.setToolTip("As text, with your home folder written as ~ and without your name.")
        self.advice = QPushButton("Copy the line")
        self.advice.setToolTip("The line to paste into a terminal.")
        self.text = QLabel()
        self.text.setWordWrap(True)
        buttons = QWidget()
        line = QHBoxLayout(buttons)
        line.setContentsMargins(0, 0, 0, 0)
        for button in (self.again, self.copy, self.advice):
            line.addWidget(button)
        column(self, self.page, buttons, self.text)
        self.again.clicked.connect(self.look)
        self.copy.clicked.connect(self.copy_report)
        self.advice.clicked.connect(self.copy_line)
        self.taken_out.connect(self.leave)
        self.look()

    @property
    def is_busy(self) -> bool:
        """Whether it looks just now."""
        return self._job is not None

    def look(self, *_: object) -> None:
        """Look at everything, in a thread."""
        if self._job is None:
            self.text.setText("Looking …")
            self._job = start_job(
                _TITLE,
                partial(diagnose, [in_use()]),
                on_result=self._on_sections,
                on_error=self._on_error,
                on_finish=self._on_finish,
                shown=False,
            )
        self._render()

    def copy_report(self) -> None:
        """Put the report on the clipboard, without names."""
        put_on_clipboard(report_text(self.sections))
        self.text.setText("Copied.")

    def copy_line(self) -> None:
        """Put the first line that is advised on the clipboard, as it must be pasted."""
        put_on_clipboard(self._line)
        self.text.setText("Copied: paste it into a terminal, then restart napari.")

    def leave(self) -> None:
        """Stop looking."""
        if self._job is not None:
            self._job.quit()

    @property
    def _line(self) -> str:
        advised = (finding.advice.line for one in self.sections for finding in one.findings if finding.advice)
        return next((line for line in advised if line), "")

    def _render(self) -> None:
        self.again.setEnabled(self._job is None)
        self.copy.setEnabled(bool(self.sections))
        self.advice.setVisible(bool(self._line))

    def _on_sections(self, sections: tuple[Section, ...]) -> None:
        self.sections = sections
        self.page.setHtml("".join(map(_as_html, sections)))
        advised = sum(finding.advice is not None for section in sections for finding in section.findings)
        self.text.setText("" if advised else "Nothing is missing that would make it faster.")

    def _on_error(self, error: Exception) -> None:
        self.text.setText(explain(error, _TITLE))

    def _on_finish(self) -> None:
        self._job = None
        self._render()


def in_use() -> Section:
    """Say what the preferences are, and where napari keeps them."""
    preferences = read_preferences()
    kept = get_settings().config_path
    return Section(
        "Preferences",
        (
            Finding("device", preferences.device),
            Finding("precision", preferences.precision),
            Finding("live", "on" if preferences.live else "off"),
            Finding("films", f"at most {preferences.films:g} GB"),
            Finding("napari's settings", str(Path(kept).parent) if kept else "not kept"),
            Finding("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS") or "not set"),
        ),
    )


def _as_html(section: Section) -> str:
    rows = []
    for finding in section.findings:
        rows.append(f"<tr><td>{html.escape(finding.name)}&nbsp;&nbsp;</td><td>{html.escape(finding.text)}</td></tr>")
        if finding.advice is not None:
            line = f"<br><code>{html.escape(finding.advice.line)}</code>" if finding.advice.line else ""
            rows.append(
                f'<tr><td></td><td style="color: #e5a00d">{html.escape(finding.advice.sentence)}{line}</td></tr>'
            )
    return f"<h4>{html.escape(section.title)}</h4><table>{''.join(rows)}</table>"
