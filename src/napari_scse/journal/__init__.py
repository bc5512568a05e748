"""Edits of one array, kept in a folder while they are made, so that a crash loses seconds at most.

>>> journal = Journal.create(Subject("T1 labels", (256, 256, 256), "uint8"), root)
>>> journal.update(labels, painted)   # now and then: appends what changed
>>> journal.close()                   # saved elsewhere: nothing to restore

After a crash `find_lost` lists the journals of processes that are gone, and `Lost.restore` gives the arrays.
"""

from napari_scse.journal.lost import Lost, Restored, find_lost
from napari_scse.journal.writing import Journal, Subject, journals_folder

__all__ = ["Journal", "Lost", "Restored", "Subject", "find_lost", "journals_folder"]
