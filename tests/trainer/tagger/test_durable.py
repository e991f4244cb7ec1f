"""An exported model outlives a power cut, and a killed export leaves nothing for long."""

import os

from schemas.audio_spec import WAVEFORM
from tests.helpers.taggers import shared_tagger
from trainer.tagger.saved_model import export_saved_model


def test_all_of_an_export_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, named = set(), []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(handle):
        status = os.fstat(handle)
        synced.add((status.st_dev, status.st_ino))
        fsync(handle)

    def watched_rename(source, target):
        if target == str(tmp_path / "1"):
            found = [os.stat(os.path.join(place, name)) for place, folders, files in os.walk(source)
                     for name in (*folders, *files)]  # fmt: skip
            named.append({(status.st_dev, status.st_ino) for status in found} - synced)
        rename(source, target)

    (tmp_path / ".export-killed" / "model").mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    export_saved_model(shared_tagger(WAVEFORM)[0], str(tmp_path / "1"))
    assert named == [set()]
    folder = os.stat(tmp_path)
    assert (folder.st_dev, folder.st_ino) in synced
    assert os.listdir(tmp_path) == ["1"]
