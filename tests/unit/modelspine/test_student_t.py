"""The p-value of Student's t is SciPy's."""

from __future__ import annotations

import pytest

from modelspine.student_t import student_t_p


@pytest.mark.parametrize("freedom", [1.0, 1.5, 3.0, 30.0, 199.0, 201.0, 5e3, 1e6])
@pytest.mark.parametrize("t", [0.0, 1e-4, -0.3, 1.0, -1.96, 5.0, 12.0, 1e3])
def test_students_p_is_scipys(freedom: float, t: float) -> None:
    from scipy.special import stdtr

    expected = 2 * float(stdtr(freedom, -abs(t)))
    assert student_t_p(t, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-300)
