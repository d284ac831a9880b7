from controller.cli.table import render


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    rows = [["support", "1,200"], ["größe", "7"]]
    assert render(["use case", "requests"], rows, right=frozenset({1}), foot=["total", "1,207"]) == (
        "use case  requests\n"
        "────────  ────────\n"
        "support      1,200\n"
        "größe            7\n"
        "────────  ────────\n"
        "total        1,207"
    )
