package probe_test

import (
	"testing"

	"vetting/agent/machines"
)

// looked are files that probes read, of every sort.
func looked() []string {
	return []string{
		"proc/cpuinfo", "proc/meminfo", "proc/iomem", "proc/cmdline", "proc/sys/kernel/osrelease",
		"sys/firmware/dmi/tables/DMI", "sys/firmware/dmi/tables/smbios_entry_point",
		"sys/bus/pci/devices/0000:00:1f.6/current_link_speed", "sys/bus/pci/devices/0000:00:1f.6/current_link_width",
		"sys/bus/pci/devices/0000:00:1f.6/class", "sys/bus/pci/devices/0000:00:1f.6/vendor", "sys/bus/pci/devices/0000:00:1f.6/config",
		"sys/devices/system/cpu/online", "sys/devices/system/cpu/present", "sys/devices/system/cpu/smt/control",
		"sys/devices/system/cpu/cpu1/topology/core_id", "sys/devices/system/cpu/cpu1/topology/thread_siblings_list",
		"sys/devices/system/cpu/cpu1/cache/index0/size", "sys/devices/system/cpu/cpu1/cache/index0/shared_cpu_list",
		"sys/devices/system/cpu/cpu1/microcode/version", "sys/devices/system/cpu/cpu1/cpufreq/base_frequency",
		"sys/devices/system/node/online", "sys/devices/system/node/node0/cpulist", "sys/devices/system/node/node0/distance",
		"sys/class/net/enp0s31f6/address", "sys/class/net/enp0s31f6/speed", "sys/block/nvme0n1/size", "sys/block/nvme0n1/wwid",
		"sys/block/nvme0n1/queue/logical_block_size", "sys/class/rtc/rtc0/since_epoch", "sys/class/tpm/tpm0/tpm_version_major",
		"sys/firmware/efi/esrt/entries/entry0/fw_version", "sys/class/powercap/intel-rapl:0/energy_uj",
		"sys/class/mei/mei0/fw_status", "sys/devices/system/cpu/vulnerabilities/mds",
	}
}

// FuzzMachine: one file of a machine says anything; the probes come to an end.
func FuzzMachine(f *testing.F) {
	const name = "lenovo-20w000t9ge-n34et61w"

	r := machines.Open(f, name)

	for i, file := range looked() {
		content, err := r.Root.ReadFile(file)
		if err != nil {
			content = []byte("1\n") // this machine has none
		}

		f.Add(byte(i), content)
	}

	f.Fuzz(func(t *testing.T, which byte, content []byte) {
		r := machines.Open(t, name)
		if err := r.Root.Put(looked()[int(which)%len(looked())], content); err != nil {
			t.Fatal(err)
		}

		m := r.Machine()

		inv, err := m.Inventory("")
		if err == nil && len(inv.CPUs) == 0 {
			t.Log("no CPU, and nothing to say about it")
		}

		_, _ = m.Firmware("")
		m.Identity()

		for _, thread := range m.Threads() {
			m.BaseMHz(thread)
			m.Heat(thread)
		}

		for _, p := range m.PowerMeters() {
			p.Joules(m)
		}
	})
}
