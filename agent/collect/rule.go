package collect

import (
	"path"
	"slices"
	"strings"
)

// rule names folders or files of a file system, and how deep below them is
// recorded: 0 is the file itself, or the files of the folder. Links named are
// followed, links found below are written down as links.
type rule struct {
	glob  string
	depth int
}

// rules is what is recorded: what the probes, the sensors, the error counters and
// the stages read, and little more.
func rules() []rule {
	return slices.Concat(procRules(), systemRules(), classRules(), busRules(), firmwareRules())
}

func procRules() (list []rule) {
	for _, name := range []string{
		"cpuinfo", "meminfo", "iomem", "interrupts", "cmdline", "version", "modules", "mdstat", "swaps", "uptime", "stat",
		"sys/kernel/osrelease", "sys/kernel/hostname", "sys/kernel/random/boot_id", "scsi/scsi",
	} {
		list = append(list, rule{"proc/" + name, 0})
	}

	return append(list, rule{"proc/driver/nvidia", 3}, rule{"proc/driver/rtc", 0}, rule{"etc/os-release", 0})
}

func systemRules() []rule {
	const base = "sys/devices/system/"

	return []rule{
		{base + "cpu", 0},
		{base + "cpu/smt", 0},
		{base + "cpu/vulnerabilities", 0},
		{base + "cpu/intel_pstate", 0},
		{base + "cpu/amd_pstate", 0},
		{base + "cpu/cpufreq", 0},
		{base + "cpu/cpu[0-9]*", 0},
		{base + "cpu/cpu[0-9]*/topology", 0},
		{base + "cpu/cpu[0-9]*/cache", 1},
		{base + "cpu/cpu[0-9]*/cpufreq", 0},
		{base + "cpu/cpu[0-9]*/thermal_throttle", 0},
		{base + "cpu/cpu[0-9]*/microcode", 0},
		{base + "cpu/cpu[0-9]*/acpi_cppc", 0},
		{base + "node", 0},
		{base + "node/node[0-9]*", 0},
		{base + "node/node[0-9]*/hugepages", 1},
		{base + "memory", 0},
		{base + "edac", 4},
		{base + "machinecheck", 1},
		{base + "clocksource", 1},
		{"sys/devices/virtual/misc/intel_ifs_*", 0},
		{"sys/kernel/mm/hugepages", 1},
		{"sys/kernel/mm/transparent_hugepage", 0},
		{"sys/kernel/iommu_groups", 2},
		{"sys/fs/pstore", 0},
	}
}

// classRules: entries of classes are links into sys/devices.
func classRules() (list []rule) {
	for name, depth := range map[string]int{
		"hwmon": 0, "thermal": 0, "powercap": 0, "net": 1, "scsi_host": 0, "scsi_device": 0, "nvme": 0, "nvme-subsystem": 0,
		"sas_host": 0, "sas_phy": 0, "sas_port": 0, "sas_device": 0, "sas_end_device": 0, "sas_expander": 0, "enclosure": 1,
		"ata_link": 0, "ata_device": 0, "drm": 0, "tpm": 0, "mei": 0, "ipmi": 0, "rtc": 0, "power_supply": 0, "infiniband": 0,
		"fc_host": 0, "iscsi_host": 0, "watchdog": 0, "firmware-attributes": 3, "dmi": 1, "accel": 0,
	} {
		list = append(list, rule{"sys/class/" + name + "/*", depth})
	}

	slices.SortFunc(list, func(a, b rule) int { return strings.Compare(a.glob, b.glob) })

	return append(list,
		rule{"sys/class/hwmon/*/device", 0}, rule{"sys/class/drm/card[0-9]*/device", 0}, rule{"sys/class/drm/card[0-9]*/device/ras", 0},
		rule{"sys/class/ipmi/*/device/bmc", 0}, rule{"sys/class/nvme/*/device", 0},
		rule{"sys/class/tty/console/active", 0}, rule{"sys/class/tty/ttyS0/type", 0},
		// Neither loop devices nor disks in memory.
		rule{"sys/block/[^lrz]*", 0}, rule{"sys/block/[^lrz]*/queue", 0}, rule{"sys/block/[^lrz]*/device", 0},
	)
}

func busRules() []rule {
	return []rule{
		{"sys/bus/pci/devices/*", 0},
		{"sys/bus/pci/slots/*", 0},
		{"sys/bus/usb/devices/*", 0},
		{"sys/bus/i2c/devices/*", 0},
		{"sys/bus/nd/devices/*", 0},
		{"sys/bus/cxl/devices/*", 0},
		{"sys/bus/scsi/devices/*", 0},
		{"sys/devices/platform/ipmi_bmc.*", 0},
	}
}

func firmwareRules() []rule {
	return []rule{
		{"sys/firmware/dmi/tables", 0},
		{"sys/firmware/efi", 0},
		{"sys/firmware/efi/esrt", 2},
		{"sys/firmware/efi/efivars/SecureBoot-*", 0},
		{"sys/firmware/efi/efivars/SetupMode-*", 0},
		{"sys/firmware/memmap", 1},
		{"sys/firmware/acpi/pm_profile", 0},
	}
}

// skipped reports whether a file or folder below a rule is left out: those that
// change something when read, that are large and say nothing, and those whose
// content is somebody's own.
func skipped(name string) bool {
	base := path.Base(name)

	for _, pattern := range []string{
		"uevent", "power", "trace", "tracing", "rom", "vpd", "eeprom", "edid", "nvmem", "resource[0-9]*", "reset", "remove", "rescan",
		"autosuspend", "msi_irqs", "mq", "cpuidle", "hotplug", "iostats", "of_node", "firmware_node", "physical_node", "valid_zones",
		"phys_*", "gpu_metrics", "memory[0-9]*", "cpu[0-9]*", "node[0-9]*", "upper_*", "lower_*", "inquiry", "systab", "config_table",
		"fw_vendor", "runtime", "crash_notes*",
	} {
		if ok, err := path.Match(pattern, base); ok && err == nil {
			return true
		}
	}

	return false
}
