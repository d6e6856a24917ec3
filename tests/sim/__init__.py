"""An in-memory cluster with a virtual clock: what Kubernetes would do, and what people do to it.

``world`` has the clock and makes one step after the other; everything that happens is drawn from one
seeded generator, so a seed is a reproduction. ``api`` is the API server, ``rest`` its calls, ``kubelet`` and
``scripts`` the nodes, ``controllers`` the ReplicaSet controller and the garbage collector, ``people`` everybody
with kubectl, ``disruptions`` and ``troubles`` the rest of the misfortune. ``operator`` runs the real operator on
a virtual event loop (``loop``), over a transport that loses, delays and repeats (``transport``). ``referee``
watches: the invariants, an independent ``recount`` of the failures, and ``consistency``, which refuses worlds
that Kubernetes could not produce.
"""
