"""The rules of the breaker: pure, typed, standard library only; time is an argument.

Three floors: ``steps`` use ``rules``, and both use ``values``. Start at
:mod:`tripswitch.domain.decide`. Rule numbers (T1, F2, ...) are those of
``docs/explanation/breaker.md``.
"""
