"""``kubectl tripswitch status``: the view of an object, its tree, and watching it."""
