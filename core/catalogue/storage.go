package catalogue

// storage is what the Storage stage measures of a disk.
func storage() []Entry {
	return []Entry{
		{"disk", "write_mibps", "mibps", false, "MiB a second that were written to a drive by a test"},
		{"disk", "model_read_mibps", "mibps", false, "MiB a second that were read from the slowest drive of a model, which is the part"},
		{"disk", "verified_bytes", "bytes", false, "read back by a test that wrote them, and right"},
		{"disk", "miscompares_count", "count", true, "blocks that a test did not get back as it wrote them, and requests that failed"},
		{"disk", "random_read_p50_milliseconds", "milliseconds", false, "time that half of the single reads all over a drive took at most"},
		{"disk", "random_read_p99_milliseconds", "milliseconds", false, "time that 99 % of the single reads all over a drive took at most"},
		{"disk", "slowest_request_milliseconds", "milliseconds", false, "time that the slowest request to a drive took"},
		{"disk", "slow_zones_count", "count", false, "stretches of a drive that are less than half as fast as those around them"},
	}
}
