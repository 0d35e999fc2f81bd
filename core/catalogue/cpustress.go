package catalogue

// cpuWork are the figures of the CPUStress stage. The part is a logical CPU
// ("cpu3"), a package ("package0") or the whole ("host").
func cpuWork() []Entry {
	return []Entry{
		{"cpu", "fma_gflops", "gflops", false, "64-bit floating-point rate of verified multiply-adds with all CPUs at work"},
		{"cpu", "sustained_mhz", "mhz", false, "clock right after a slot of that work"},
		{"cpu", "work_ipc", "ipc", false, "instructions a cycle in that work"},
		{"cpu", "full_load_watts", "watts", false, "power drawn by a package in that work"},
		{"cpu", "power_limit_watts", "watts", false, "power that a package may draw for long (PL1)"},
		{"cpu", "wrong_results_count", "count", true, "blocks of work that came out wrong"},
	}
}
