"""The rules of the breaker: pure, typed, standard library only; time is an argument.

Start at :mod:`tripswitch.domain.decide`, the one way through. Rule numbers (T1, F2, ...) are those of
``docs/explanation/breaker.md``.
"""
