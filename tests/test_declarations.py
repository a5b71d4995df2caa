"""Reading what is registered from source, beside other threads that parse."""

from __future__ import annotations

import ast

import pytest

from napari_wsseg import _declarations


@pytest.mark.parametrize("times", [1, 4])
def test_another_thread_that_parses_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    parse, left = ast.parse, [times]

    def disturbed(text: str) -> ast.Module:
        if left[0]:
            left[0] -= 1
            raise SystemError("AST constructor recursion depth mismatch")
        return parse(text)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert isinstance(_declarations._parsed("a = 1"), ast.Module)


def test_an_error_that_stays_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> ast.Module:
        raise SystemError("broken")

    monkeypatch.setattr(ast, "parse", broken)
    with pytest.raises(SystemError, match="broken"):
        _declarations._parsed("a = 1")
