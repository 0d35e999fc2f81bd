package profile

// The configuration keys of the GPU stage.
const (
	// GPUDCGM is the level of DCGM's diagnostic, where an overlay brings it: 1 to 4; 0: none.
	GPUDCGM = "GPU.dcgm"
	// GPURequire says whether GPUs must compute to pass: with "yes" a GPU that was not
	// worked is an error and not a skip. A spec may ask for it too (gpu.require_compute).
	GPURequire = "GPU.require_compute"
	// GPUCount is how many GPUs there must be; 0: whatever there is. It is for classes and
	// hosts.
	GPUCount = "GPU.count"
)

func gpuPlan() []row {
	return []row{
		{GPUDCGM, tiers{"2", "3", "4"}},
		{GPURequire, tiers{"no", "no", "no"}},
		{GPUCount, tiers{"0", "0", "0"}},
	}
}

func gpuSettings() map[string]setting {
	const most, levels = 64, 4

	return map[string]setting{GPUDCGM: whole(0, levels), GPURequire: oneOf("yes", "no"), GPUCount: whole(0, most)}
}
