package memory_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/machines"
	"vetting/agent/memory"
)

// FuzzLook: whatever the kernel's files say, the look at the memory comes to an end,
// and no range is empty or upside down.
func FuzzLook(f *testing.F) {
	for _, name := range []string{"qemu-lab-server-1.7.3", "supermicro-x11dpi-n-3.3", "firecracker-microvm"} {
		r := machines.Open(f, name)
		seed := []string{}

		for _, file := range []string{
			"proc/iomem", "proc/meminfo", "sys/devices/system/node/node0/meminfo", "sys/devices/system/node/node0/cpulist",
			"sys/devices/system/edac/mc/mc0/dimm0/dimm_label",
		} {
			content, err := r.Root.ReadFile(file)
			if err != nil {
				content = nil // not every machine has it
			}

			seed = append(seed, string(content))
		}

		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], string(r.Kmsg))
	}

	f.Add("100000-1fffff : System RAM\n", "MemTotal: 1 kB\nEarlyMemtestBad: 8 kB\n", "Node 0 MemTotal: 1 kB", "0-3", "DIMM_A1",
		"6,1,0,-;early_memtest: # of tests: 1\n6,2,0,-;  00000000ffffffff bad mem addr 0x0000000000005000 - 0x0000000000006000 reserved")

	f.Fuzz(func(t *testing.T, iomem, total, node, cpus, label, kmsg string) {
		root := fstest.MapFS{
			"proc/iomem": file(iomem), "proc/meminfo": file(total), "sys/devices/system/node/online": file(cpus), "sys/devices/system/node/has_memory": file(cpus),
			"sys/devices/system/cpu/online":         file(cpus),
			"sys/devices/system/node/node0/meminfo": file(node), "sys/devices/system/node/node0/cpulist": file(cpus),
			"sys/devices/system/edac/mc/mc0/dimm0/dimm_label": file(label), "sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count": file(label),
			"sys/devices/system/cpu/cpu0/cache/index2/size": file(label), "sys/devices/system/cpu/cpu0/cache/index2/shared_cpu_list": file(cpus),
		}

		ranges, err := memory.SystemRAM(root)
		for _, r := range ranges {
			if err != nil || r.End <= r.Start {
				t.Errorf("range %+v, %v", r, err)
			}
		}

		for _, bad := range memory.ReadBootTest(root, strings.Split(kmsg, "\n")).Bad {
			if bad.End <= bad.Start {
				t.Errorf("bad range %+v", bad)
			}
		}

		if n, err := memory.Total(root); err != nil || memory.Reserve(n) == 0 {
			t.Errorf("%d bytes, reserve %d, %v", n, memory.Reserve(n), err)
		}

		if nodes, err := memory.Nodes(root, []int{0, 1, 2, 3}); err != nil && len(nodes) > 0 {
			t.Errorf("nodes %+v, and %v", nodes, err)
		}

		memory.ReadCounts(root, nil)
		memory.CacheShare(root, 0, 4)
	})
}
