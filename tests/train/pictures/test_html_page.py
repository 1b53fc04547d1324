"""What stands around the pictures."""

from rwmu_train.pictures.html_page import html_page
from rwmu_train.transitions.verdict import judge
from rwmu_train.transitions.verdict_table import channel_rows, summary_lines


def test_no_name_becomes_part_of_the_page(small_dataset) -> None:
    places = "<script>alert(1)</script>/$title"
    text = html_page(judge(small_dataset), [], channel_rows(small_dataset), places).decode()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;/$title" in text


def test_every_line_of_the_verdict_and_every_column_is_there(small_dataset) -> None:
    verdict = judge(small_dataset)
    text = html_page(verdict, [], channel_rows(small_dataset), "here").decode()
    for name, value in summary_lines(verdict):
        assert f"<tr><th>{name}</th><td>{value}</td></tr>" in text
    for column in range(small_dataset.columns.count):
        assert f"<td>{small_dataset.columns.label(column)}</td>" in text
