package catalogue

import (
	"slices"
	"sync"
)

// All returns the whole catalogue, kind by kind.
func All() []Entry {
	return slices.Concat(cpu(), cpuWork(), memory(), disk(), nic(), traffic(), storage(), network(), gpu(), supply(), board(), custom())
}

// byName finds entries by "kind/quantity". Every sample of every host is looked up,
// so the catalogue is put in order once.
var byName = sync.OnceValue(func() map[string]Entry { //nolint:gochecknoglobals // made once, never changed
	found := map[string]Entry{}
	for _, e := range All() {
		found[e.Kind+"/"+e.Quantity] = e
	}

	return found
})

func cpu() []Entry {
	return append(heat("cpu", "a package or core"), []Entry{
		{"cpu", "frequency_mhz", "mhz", false, "clock of a core"},
		{"cpu", "load_percent", "percent", false, "share of time the CPUs were busy"},
		{"cpu", "throttle_count", "count", true, "times the CPU slowed itself down on account of heat"},
		{"cpu", "power_watts", "watts", false, "power drawn by a package"},
		{"cpu", "machine_checks_count", "count", true, "machine check events"},
	}...)
}

func memory() []Entry {
	return append(heat("memory", "a DIMM"), []Entry{
		{"memory", "used_bytes", "bytes", false, "memory in use"},
		{"memory", "available_bytes", "bytes", false, "memory the kernel could hand out"},
		{"memory", "corrected_errors_count", "count", true, "errors that ECC corrected"},
		{"memory", "uncorrected_errors_count", "count", true, "errors that ECC could not correct"},
		{"memory", "tested_bytes", "bytes", false, "memory of a node that was tested"},
		{"memory", "copy_mibps", "mibps", false, "MiB a second that a node's memory moves in STREAM's copy"},
		{"memory", "triad_mibps", "mibps", false, "MiB a second that a node's memory moves in STREAM's triad"},
		{"memory", "miscompares_count", "count", true, "words of a node's memory that came back wrong"},
	}...)
}

func disk() []Entry {
	return append(heat("disk", "a drive"), []Entry{
		{"disk", "power_on_hours", "hours", true, "hours the drive was on in its life"},
		{"disk", "power_cycles_count", "count", true, "times the drive was switched on"},
		{"disk", "unsafe_shutdowns_count", "count", true, "times the drive lost power unannounced"},
		{"disk", "reallocated_sectors_count", "count", true, "ATA 5: sectors replaced by spares"},
		{"disk", "reallocation_events_count", "count", true, "ATA 196: attempts to replace a sector"},
		{"disk", "pending_sectors_count", "count", false, "ATA 197: sectors waiting to be replaced"},
		{"disk", "offline_uncorrectable_count", "count", true, "ATA 198: sectors that could not be read in the background"},
		{"disk", "reported_uncorrected_count", "count", true, "ATA 187: errors that ECC could not correct"},
		{"disk", "end_to_end_errors_count", "count", true, "ATA 184: data altered inside the drive"},
		{"disk", "command_timeouts_count", "count", true, "ATA 188: commands that timed out"},
		{"disk", "spin_retries_count", "count", true, "ATA 10: repeated attempts to spin up"},
		{"disk", "crc_errors_count", "count", true, "ATA 199: transfer errors between drive and controller"},
		{"disk", "media_errors_count", "count", true, "NVMe: reads the drive could not answer"},
		{"disk", "error_log_entries_count", "count", true, "NVMe: entries of the error log"},
		{"disk", "critical_warning_bits", "bits", false, "NVMe: critical warnings, one bit each"},
		{"disk", "available_spare_percent", "percent", false, "NVMe: spare blocks left"},
		{"disk", "spare_threshold_percent", "percent", false, "NVMe: spare blocks below which the drive warns"},
		{"disk", "used_percent", "percent", true, "wear: share of the drive's rated life that is used up"},
		{"disk", "grown_defects_count", "count", true, "SCSI: defects found in use"},
		{"disk", "uncorrected_errors_count", "count", true, "SCSI: reads, writes and verifies that failed"},
		{"disk", "non_medium_errors_count", "count", true, "SCSI: errors outside the medium"},
		{"disk", "read_bytes", "bytes", true, "read from the drive in its life"},
		{"disk", "written_bytes", "bytes", true, "written to the drive in its life"},
		{"disk", "self_test_percent", "percent", false, "how far a self-test is"},
		{"disk", "phy_errors_count", "count", true, "errors the drive counted on its link: SATA log 11h, SAS log 18h"},
		{"disk", "phy_losses_count", "count", true, "SATA log 11h: times the link went down"},
		{"disk", "warning_temperature_minutes", "minutes", true, "NVMe: minutes above the warning temperature in its life"},
		{"disk", "critical_temperature_minutes", "minutes", true, "NVMe: minutes above the critical temperature in its life"},
		{"disk", "light_throttles_count", "count", true, "NVMe: times the drive slowed itself down at its first temperature"},
		{"disk", "heavy_throttles_count", "count", true, "NVMe: times the drive slowed itself down at its second temperature"},
		{"disk", "bad_user_blocks_count", "count", true, "OCP C0h: NAND blocks for data that were retired"},
		{"disk", "bad_system_blocks_count", "count", true, "OCP C0h: NAND blocks for the drive's own data that were retired"},
		{"disk", "user_blocks_percent", "percent", false, "OCP C0h: health of the blocks for data, 0: no spare is left"},
		{"disk", "system_blocks_percent", "percent", false, "OCP C0h: health of the blocks for the drive's own data"},
		{"disk", "xor_recoveries_count", "count", true, "OCP C0h: times that data was put together from the other dies"},
		{"disk", "uncorrectable_reads_count", "count", true, "OCP C0h: reads that no means could correct"},
		{"disk", "end_to_end_detected_count", "count", true, "OCP C0h: errors on the way through the drive"},
		{"disk", "end_to_end_lost_count", "count", true, "OCP C0h: errors on the way through the drive that it did not correct"},
		{"disk", "system_used_percent", "percent", true, "OCP C0h: wear of the blocks for the drive's own data"},
		{"disk", "thermal_events_count", "count", true, "OCP C0h: times the drive slowed itself down, modulo 256"},
		{"disk", "throttling_bits", "bits", false, "OCP C0h: 1 while the drive slows itself down"},
		{"disk", "link_correctable_errors_count", "count", true, "OCP C0h: errors of PCI Express that the drive's link corrected"},
		{"disk", "link_retrains_count", "count", true, "OCP C0h: times the drive's link was trained again"},
		{"disk", "incomplete_shutdowns_count", "count", true, "OCP C0h: shutdowns in which the drive's capacitors did not last"},
		{"disk", "capacitor_percent", "percent", false, "OCP C0h: energy of the capacitors beyond what a shutdown takes"},
		{"disk", "io_errors_count", "count", true, "I/O errors the kernel counted"},
	}...)
}

func nic() []Entry {
	return append(heat("nic", "a network card"), []Entry{
		{"nic", "speed_mbps", "mbps", false, "negotiated speed"},
		{"nic", "rx_errors_count", "count", true, "frames received broken"},
		{"nic", "tx_errors_count", "count", true, "frames that could not be sent"},
		{"nic", "carrier_changes_count", "count", true, "times the link went up or down"},
	}...)
}

func board() []Entry {
	return append(heat("board", "a sensor on the board"), []Entry{
		{"board", "current_amperes", "amperes", false, "current of a rail"},
		{"board", "power_watts", "watts", false, "power that a meter on the board tells"},
		{"board", "voltage_volts", "volts", false, "voltage of a rail"},
		{"board", "fan_rpm", "rpm", false, "speed of a fan"},
		{"pcie", "corrected_errors_count", "count", true, "AER: errors the link corrected"},
		{"pcie", "uncorrected_errors_count", "count", true, "AER: errors the link could not correct"},
	}...)
}
