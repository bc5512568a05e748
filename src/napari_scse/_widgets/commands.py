"""What the command palette offers beside the docks themselves: an action opens its dock and does what its key does."""

from __future__ import annotations

from typing import Any

import napari
from napari.utils.notifications import show_info

from napari_scse._widgets.shortcuts import call


def perform(dock: str, action: str, viewer: Any = None) -> None:
    """Open a dock of ours, where it is not open, and do what it calls `action`.

    Parameters
    ----------
    dock
        The display name of its widget in the manifest.
    action
        One of `shortcuts.ACTIONS`.
    viewer
        None: the one that is on top.
    """
    viewer = viewer or napari.current_viewer()
    if viewer is None:
        show_info("There is no window to do this in.")
        return
    _, widget = viewer.window.add_plugin_dock_widget("napari-scse", dock)
    call(widget.shortcuts, action)


def run_segmentation() -> None:
    """Segment the chosen layer, or cancel."""
    perform("Segment", "run")


def toggle_live() -> None:
    """Keep the displayed slice segmented, or do not."""
    perform("Segment", "live")


def jump() -> None:
    """Go to where the network is least sure."""
    perform("Segment", "jump")


def learn() -> None:
    """Learn from what is painted."""
    perform("Segment", "learn")


def accept() -> None:
    """Accept what was learnt."""
    perform("Segment", "accept")


def reject() -> None:
    """Go back to before it was learnt."""
    perform("Segment", "reject")


def explore() -> None:
    """Show the chosen gates at every epoch, or cancel."""
    perform("Explore", "run")


def next_epoch() -> None:
    """Show the next epoch."""
    perform("Explore", "next_epoch")


def previous_epoch() -> None:
    """Show the previous epoch."""
    perform("Explore", "previous_epoch")


def pause_training() -> None:
    """Pause the training that is shown, or go on."""
    perform("Train", "pause")


def stop_training() -> None:
    """Stop the training that is shown; it can be resumed."""
    perform("Train", "stop")


def resume_training() -> None:
    """Resume the training that is shown, after its last finished epoch."""
    perform("Train", "resume")


def next_structure() -> None:
    """Go to the next structure of the table."""
    perform("Numbers", "next_structure")
