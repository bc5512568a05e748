"""The Doctor dock: what it shows, and what is copied from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication

from napari_scse._widgets.doctor import DoctorWidget
from napari_scse.diagnosis import Advice, Finding, Section

TIMEOUT = 60_000


def _clipboard() -> str:
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    return clipboard.text()


def test_it_looks_in_a_thread_and_copies_without_names(
    place: Callable[..., Any], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    dock: DoctorWidget = place(DoctorWidget)
    assert dock.is_busy
    assert not dock.copy.isEnabled()
    qtbot.waitUntil(lambda: not dock.is_busy, timeout=TIMEOUT)
    shown = dock.page.toPlainText()
    assert all(title in shown for title in ("Versions", "Devices", "Preferences", "Window", "Folders"))
    assert "torch" in shown
    dock.copy.click()
    assert "Preferences\n  device                auto" in _clipboard()
    assert str(tmp_path) not in _clipboard()
    assert "~" in _clipboard()


def test_the_line_to_paste(place: Callable[..., Any], qtbot: QtBot) -> None:
    dock: DoctorWidget = place(DoctorWidget)
    qtbot.waitUntil(lambda: not dock.is_busy, timeout=TIMEOUT)
    advice = Advice("Paste <this>:", '"/opt/my python" -m pip install torch')
    dock._on_sections((Section("Devices", (Finding("driver", "550", advice),)),))
    dock._render()
    assert not dock.advice.isHidden()
    assert "Paste <this>:" in dock.page.toPlainText()
    dock.advice.click()
    assert _clipboard() == advice.line


def test_closing_while_it_looks(viewer: Any, place: Callable[..., Any], qtbot: QtBot) -> None:
    dock: DoctorWidget = place(DoctorWidget)
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not dock.is_busy, timeout=TIMEOUT)
