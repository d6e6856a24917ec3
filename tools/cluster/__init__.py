"""A throwaway control plane with simulated or real nodes."""
