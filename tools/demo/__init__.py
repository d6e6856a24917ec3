"""``make demo``: the main job, live, on a throwaway cluster or on the one that kubectl talks to."""
