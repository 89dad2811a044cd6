"""The measurement of the domain classifier, on a set that is made here."""

import csv
import gzip
from pathlib import Path

import pytest
from routing_lab.data import DataMissingError, Source
from routing_lab.domains import measure

WORDS = {"fruit": ("apple", "pear", "plum", "grape"), "tools": ("hammer", "saw", "drill", "pliers")}


def write(folder: Path, many: int) -> None:
    folder.mkdir()
    with gzip.open(folder / f"banking77_{folder.name}.csv.gz", "wt", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "category"])
        for at in range(many):
            for label, words in WORDS.items():
                rows.writerow([f"number {at} {words[at % 4]} and {words[(at + 1) % 4]}", label])


def test_a_sixth_of_train_is_held_out(tmp_path: Path) -> None:
    """What is asked about was not learned, and what can be told apart is."""
    write(tmp_path / "train", 60)
    (line,) = measure(Source(tmp_path), "validation", is_fast=True)
    assert line["set"] == "banking77 intents"
    assert line["fitted_on"] + line["n"] == 120
    assert 5 < line["n"] < 40
    assert line["accuracy"] == 1.0


def test_another_split_is_asked_about_after_all_of_train_is_learned(tmp_path: Path) -> None:
    """A folder by its name."""
    write(tmp_path / "train", 30)
    write(tmp_path / "test", 10)
    (line,) = measure(Source(tmp_path), "test", is_fast=True)
    assert (line["fitted_on"], line["n"], line["accuracy"]) == (60, 20, 1.0)


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    """An empty folder is an error, not an empty result."""
    (tmp_path / "train").mkdir()
    with pytest.raises(DataMissingError, match="no labelled texts in 'train'"):
        measure(Source(tmp_path), "train")
