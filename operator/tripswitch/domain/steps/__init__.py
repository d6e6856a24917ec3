"""The steps of :func:`tripswitch.domain.decide.decide`, each from one draft to the next."""
