// Lets main.go declare scale() without a body; the linker takes Kubernetes' own.
