"""The same tag, written differently, and the same file."""

import unicodedata

import pytest

from beam_pipelines import build
from beam_pipelines.sources import finding
from beam_pipelines.tags.spelling import merge_spellings, merged_line
from schemas.common.errors import UsageError
from schemas.manifest import read_dataset
from tests.helpers.accounts import rows
from tests.helpers.music import write_noise

NFD = unicodedata.normalize("NFD", "Café/Früh.wav")
NFC = unicodedata.normalize("NFC", NFD)


def test_the_most_frequent_spelling_wins_and_the_first_of_two():
    tags = [
        ("Hip Hop", "rock"),
        ("hip  hop", "Hip Hop"),
        ("hip hop", "cafe\u0301"),
        ("caf\xe9", "STRASSE"),
        ("straße", "hip-hop"),
    ]
    merged, spellings = merge_spellings(tags)
    assert merged == [
        ("Hip Hop", "rock"),
        ("Hip Hop",),
        ("Hip Hop", "cafe\u0301"),
        ("cafe\u0301", "STRASSE"),
        ("STRASSE", "hip-hop"),
    ]
    assert spellings == {
        "Hip Hop": {"Hip Hop": 2, "hip  hop": 1, "hip hop": 1},
        "cafe\u0301": {"cafe\u0301": 1, "caf\xe9": 1},
        "STRASSE": {"STRASSE": 1, "straße": 1},
    }
    line = merged_line(spellings, most=2)
    assert line.startswith("written differently, taken as one tag (--spellings keep does not): ")
    assert line.endswith(
        ": 'Hip Hop' takes 'hip  hop' 1, 'hip hop' 1; 'STRASSE' takes 'straße' 1; and 1 tags more"
    )


def test_a_path_in_one_form_finds_a_file_in_the_other(tmp_path):
    write_noise(tmp_path / NFD)
    for path in (NFC, NFD):
        (file,) = finding.find_each([path], finding.under(str(tmp_path)), "there").values()
        assert file.path == NFD and file.size == (tmp_path / NFD).stat().st_size
    with pytest.raises(UsageError, match="are one file"):
        finding.find_each([NFC, NFD], finding.under(str(tmp_path)), "there")
    with pytest.raises(UsageError, match="none of the 1 files is there: Café/nein.wav is not here"):
        finding.find_each(["Café/nein.wav"], finding.under(str(tmp_path)), "here")


@pytest.mark.parametrize("spellings", ["merge", "keep"])
def test_a_build_says_what_it_merged(tmp_path, capsys, spellings):
    write_noise(tmp_path / NFD)
    for name in "abc":
        write_noise(tmp_path / f"{name}.wav", seed=ord(name))
    table = tmp_path / "songs.csv"
    lines = [f"{NFC},Rock", "a.wav,rock", "b.wav,rock;jazz", "c.wav,"]
    table.write_text("path,tags\n" + "\n".join(lines) + "\n")
    output = tmp_path / "out"
    options = ["--manifest", str(table), "--output", str(output), "--sample_rate", "8000"]
    more = ["--split", "track", "--split_percent", "100,0,0", "--num_shards", "2"]
    assert build.main([*options, *more, "--spellings", spellings]) == 0
    dataset, (out, err) = read_dataset(str(output)), capsys.readouterr()
    tracks = {row["path"]: row["tags"] for row in rows(output / "tracks.parquet")}
    assert ("'rock' takes 'Rock' 1" in err) is (spellings == "merge")
    if spellings == "merge":
        assert tracks == {NFD: ["rock"], "a.wav": ["rock"], "b.wav": ["rock", "jazz"], "c.wav": []}
        assert dataset.data["spellings"] == {"rock": {"rock": 2, "Rock": 1}}
    else:
        assert tracks[NFD] == ["Rock"] and dataset.data["spellings"] == {}
    assert "4 tracks are listed, 4 have audio" in err
    # a row without a tag is a negative, and the summary says so
    assert dataset.data["untagged"] == 1
    assert "planned without a tag: 1 tracks, negatives of every tag (--untagged drop" in out
    assert build.main([*options, *more, "--untagged", "drop", "--overwrite"]) == 0
    assert {row["path"]: row["reason"] for row in rows(output / "rejects.parquet")} == {
        "c.wav": "no_tag"
    }
    assert "without a tag" not in capsys.readouterr().out
