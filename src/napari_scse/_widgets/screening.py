"""A film in the viewer: its layers, and a worker that computes what is looked at."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_scse._napari.film import film_layers, shown_frame
from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.links import Links
from napari_scse._napari.looking import plane_on_screen
from napari_scse._napari.maps import set_limits
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse.events import Event, MapDone, Message
from napari_scse.slices import Plane
from napari_scse.structures import Structure

if TYPE_CHECKING:
    from napari_scse.exploration import Film, View

_PREFETCHED = 3  # slices on each side of the one that is shown
_PACE = 400  # ms between two looks at what grows elsewhere than in the shown slice
_REST = 4  # times as long as it took to show that, it is left alone: drawing whole volumes takes napari seconds
_LIMITS_AT = 1.5  # limits are taken anew when the film has grown by this factor


class Screening(QObject):
    """Shows a film over its scan and keeps computing what is on screen.

    Parameters
    ----------
    viewer
        The napari viewer; the layers are added to it.
    film, source, structures
        What is shown, over which layer, and what its labels mean.
    full_range
        Whether maps are shown from 0 to 1.
    tag
        Put behind the layers' names where several runs are shown.
    """

    developed = Signal(object)  # a frame is computed: its MapDone
    caught_up = Signal()  # all of what is looked at is computed
    said = Signal(str, bool)  # a sentence for the user, and whether it is an error
    looked = Signal(int, int)  # another epoch (its index) or slice is shown
    ended = Signal()  # the layers are gone

    def __init__(
        self,
        viewer: Any,
        film: Film,
        source: LayerInput,
        structures: tuple[Structure, ...],
        full_range: bool,
        parent: QObject,
        tag: str = "",
    ) -> None:
        super().__init__(parent)
        self.film = film
        self.source = source
        self.structures = structures  # by class
        self.gates = film.gates
        self.full_range = full_range
        self.limits = film.limits  # of a site
        self._viewer = viewer
        self._plane = film.run.config.plane
        self._worker = _Worker(film)
        self._failed = False  # the last attempt, while the same is looked at
        self._limited = 0
        self._stale = False
        self._shown_at, self._ticked_at = 0.0, time.monotonic()
        self._busy = 0.0  # s that the window was for after what grows was shown
        self.labels: Labels | None = None
        self.maps: list[Image] = []
        for data, keywords, kind in film_layers(film, source, structures, tag):
            layer = viewer.add_layer(Labels(data, **keywords) if kind == "labels" else Image(data, **keywords))
            self._adopt(getattr(layer, "__wrapped__", layer))
        self._view = self._find_view()
        self._timer = QTimer(self)
        self._timer.setInterval(_PACE)
        self._timer.timeout.connect(self._refresh_stale)
        self._timer.start()
        dims = viewer.dims.events
        self._links = (
            Links(self.look, dims.point, dims.order, dims.ndisplay),
            Links(self._on_removed, viewer.layers.events.removed),
        )
        until_destroyed(self, *self._links, self._worker)
        self._update_limits()
        self.look()

    @property
    def layers(self) -> list[Any]:
        """All layers of the film that are still there."""
        return [*([] if self.labels is None else [self.labels]), *self.maps]

    @property
    def view(self) -> View:
        """What is looked at at present; any thread may ask."""
        return self._view

    def look(self, *_: object) -> None:
        """Compute what is on screen now, before anything else."""
        if not self.layers:
            return
        before, self._view = self._view, self._find_view()
        if before != self._view:
            self._forgive()
            self.looked.emit(self._view.epoch, self._view.number)
        if self._worker.is_free and not self._failed and self.film.next(self._view) is not None:
            self._start()

    def go_on(self) -> None:
        """Compute what is on screen, also after an error."""
        self._forgive()
        self.look()

    def lend(self) -> None:
        """Leave the film to something else that computes frames of it, until `give_back`."""
        self._worker.lent = True

    def give_back(self) -> None:
        """Tell that what the film was lent to has ended; any thread may."""
        self._worker.give_back()

    def refresh(self, event: MapDone) -> None:
        """Show a frame that was computed, at once where it is on screen."""
        if self._limited * _LIMITS_AT < event.done:
            self._update_limits()
        if event.epoch_index != self._view.epoch:
            return
        if plane_on_screen(self._viewer, self.source) is self._plane:
            if event.slice_index == self._view.number:
                self._refresh()
        else:
            self._stale = True

    def close(self) -> None:
        """Stop computing and following; the layers stay, with what is computed."""
        self._timer.stop()
        for link in self._links:
            link.close()
        self.labels, self.maps = None, []
        self._worker.close()

    # -- the worker ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        from napari_scse.exploration import develop

        self._worker.job = start_job(
            f"maps of {self.source.name}",
            partial(develop, self.film, lambda: self._view),
            on_event=self._on_event,
            on_result=lambda _: None,
            on_error=self._on_error,
            on_finish=self._on_finish,
            shown=False,
        )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Message) and not self._worker.closed:
            self.said.emit(event.text, False)
        if not isinstance(event, MapDone) or self._worker.closed:
            return
        if self._worker.lent:
            self._worker.quit()
        self.refresh(event)
        self.developed.emit(event)

    def _on_error(self, error: Exception) -> None:
        if self._worker.closed:
            return
        self._failed = True
        self.said.emit(explain(error, f"exploration of {self.source.name}"), True)

    def _forgive(self) -> None:
        """Try again after an error, and say it no more."""
        if self._failed:
            self._failed = False
            self.said.emit("", False)

    def _on_finish(self) -> None:
        self._worker.free()
        if not self._worker.closed:
            self.look()  # what was asked for in the meantime
            if self._worker.is_free:
                self.caught_up.emit()

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _adopt(self, layer: Any) -> None:
        if isinstance(layer, Labels):
            layer.editable = False  # it is computed: paint in a copy
            self.labels = layer
        else:
            layer.colorbar.visible = True
            self.maps.append(layer)

    def _find_view(self) -> View:
        from napari_scse.exploration import View

        plane = plane_on_screen(self._viewer, self.source)
        epoch, number = shown_frame(self.layers[-1], self._viewer.dims.point)
        return View(number, epoch, _PREFETCHED if plane is Plane(self._plane) else 0)

    def _update_limits(self) -> None:
        self._limited = int(self.film.done.sum())
        if self._limited:
            for layer in self.maps:
                site = layer.metadata["napari-scse"]["maps"]["site"]
                set_limits(layer, self.limits(site), self.full_range)

    def _refresh_stale(self) -> None:
        now, pace = time.monotonic(), _PACE / 1000
        if self._ticked_at <= self._shown_at:  # the first look at the clock since then
            self._busy = max(0.0, now - self._ticked_at - pace)
        self._ticked_at = now
        if self._stale and now - self._shown_at > pace + _REST * self._busy:
            self._refresh()

    def _refresh(self) -> None:
        self._stale = False
        for layer in self.layers:
            if layer.visible:
                layer.refresh(extent=False, thumbnail=False, highlight=False)
        self._shown_at = time.monotonic()

    def _on_removed(self, *_: object) -> None:
        there = list(self._viewer.layers)
        if self.labels is not None and self.labels not in there:
            self.labels = None
        self.maps = [layer for layer in self.maps if layer in there]
        if not self.layers:
            self.close()
            self.ended.emit()


class _Worker:
    """The job that computes a film, and its end: it outlives the Qt object that started it by at most one frame.

    A film that is `lent` is let go of once it is given back.
    """

    def __init__(self, film: Film) -> None:
        self._film: Film | None = film
        self.job: Job | None = None
        self.closed = self.lent = False

    @property
    def is_free(self) -> bool:
        return self.job is None and not self.closed and not self.lent

    def quit(self) -> None:
        if self.job is not None:
            self.job.quit()

    def free(self) -> None:
        """The job has ended."""
        self.job = None
        self._let_go()

    def give_back(self) -> None:
        """What the film was lent to has ended."""
        self.lent = False
        self._let_go()

    def close(self) -> None:
        """Stop, and let go of the networks."""
        self.closed = True
        self.quit()
        self._let_go()

    def _let_go(self) -> None:
        if not self.closed or self.job is not None or self.lent:
            return
        film, self._film = self._film, None  # Qt may keep this object for longer than the film is wanted
        if film is not None:
            film.close()
