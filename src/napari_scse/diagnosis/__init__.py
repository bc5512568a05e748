"""What this installation has and lacks: versions, devices, window, folders. For bug reports and slow machines."""

from napari_scse.diagnosis.findings import Advice, Finding, Section, report_text
from napari_scse.diagnosis.whole import diagnose
from napari_scse.diagnosis.window import has_display

__all__ = ["Advice", "Finding", "Section", "diagnose", "has_display", "report_text"]
