package memory_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/agent/memory"
	"vetting/core"
	"vetting/firmware/inventory"
)

var update = flag.Bool("update", false, "rewrite what the look at each machine gives")

// TestEveryMachine looks at every recorded machine.
func TestEveryMachine(t *testing.T) {
	cpus := make([]int, 1024)
	for i := range cpus {
		cpus[i] = i
	}

	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		tables, err := inventory.ReadSMBIOS(r.Root)
		if err != nil {
			t.Log(err)
		}

		nodes, err := memory.Nodes(r.Root, cpus)
		if err != nil {
			t.Fatal(err)
		}

		ram, err := memory.SystemRAM(r.Root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // not everybody records it
			t.Error(err)
		}

		total, err := memory.Total(r.Root)
		if err != nil || memory.Sum(ram) != 0 && memory.Sum(ram) < total {
			t.Errorf("%d bytes in /proc/meminfo, %d in /proc/iomem, %v", total, memory.Sum(ram), err)
		}

		board, where := memory.ReadBoard(tables), map[string][]core.Part{}
		for _, span := range ram {
			where[fmt.Sprintf("%#x", span.Start)] = board.At(span.Start)
		}

		var found []string
		for _, n := range nodes {
			found = append(found, fmt.Sprintf("%+v", n))
		}

		machines.Golden(t, r, "memory", map[string]any{
			"nodes": found, "ram": fmt.Sprintf("%#x", ram), "total": total, "dimms": where,

			"edac": len(memory.ReadCounts(r.Root, tables)), "boot": memory.ReadBootTest(r.Root, strings.Split(string(r.Kmsg), "\n")),
			"cache_share": memory.CacheShare(r.Root, nodes[0].CPUs[0], len(nodes[0].CPUs)),
		}, *update)
	})
}

// file is one of sysfs.
func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }

func TestNodes(t *testing.T) {
	numa := fstest.MapFS{
		"sys/devices/system/cpu/online":                             file("0-7"),
		"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": file("0,4"),
		"sys/devices/system/cpu/cpu1/topology/thread_siblings_list": file("1,5"),
		"sys/devices/system/cpu/cpu2/topology/thread_siblings_list": file("2,6"),
		"sys/devices/system/cpu/cpu3/topology/thread_siblings_list": file("3,7"),
		"sys/devices/system/cpu/cpu4/topology/thread_siblings_list": file("0,4"),
		"sys/devices/system/cpu/cpu5/topology/thread_siblings_list": file("1,5"),
		"sys/devices/system/cpu/cpu6/topology/thread_siblings_list": file("2,6"),
		"sys/devices/system/cpu/cpu7/topology/thread_siblings_list": file("3,7"),
		"sys/devices/system/node/online":                            file("0-2"),
		"sys/devices/system/node/has_memory":                        file("0-2"),
		"sys/devices/system/node/node0/cpulist":                     file("0-1,4-5"),
		"sys/devices/system/node/node0/distance":                    file("10 20 40"),
		"sys/devices/system/node/node0/meminfo":                     file("Node 0 MemTotal: 1024 kB"),
		"sys/devices/system/node/node1/cpulist":                     file("2-3,6-7"),
		"sys/devices/system/node/node1/distance":                    file("20 10 14"),
		"sys/devices/system/node/node1/meminfo":                     file("Node 1 MemTotal: 2048 kB"),
		"sys/devices/system/node/node2/cpulist":                     file(""),
		"sys/devices/system/node/node2/distance":                    file("40 14 10"),
		"sys/devices/system/node/node2/meminfo":                     file("Node 2 MemTotal: 4096 kB"),
	}
	flat := fstest.MapFS{
		"sys/devices/system/cpu/online": file("0-3"), "proc/meminfo": file("MemTotal: 512 kB\nMemFree: 1 kB"),
	}
	without := func(name string) fstest.MapFS {
		less := fstest.MapFS{}
		for n, f := range numa {
			if n != name {
				less[n] = f
			}
		}

		return less
	}

	for name, c := range map[string]struct {
		root    fstest.MapFS
		allowed []int
		want    []memory.Node
		fault   string
	}{
		"two nodes with CPUs and one of memory alone": {numa, []int{0, 1, 2, 3, 4, 5, 6, 7}, []memory.Node{
			{ID: 0, Bytes: 1 << 20, CPUs: []int{0, 1}, Remote: []int{2, 3}},
			{ID: 1, Bytes: 2 << 20, CPUs: []int{2, 3}, Remote: []int{0, 1}},
			{ID: 2, Bytes: 4 << 20, CPUs: []int{2, 3}, Remote: []int{0, 1}},
		}, ""},
		"only some CPUs may be used, first threads or not": {numa, []int{1, 4, 6}, []memory.Node{
			{ID: 0, Bytes: 1 << 20, CPUs: []int{1, 4}, Remote: []int{6}},
			{ID: 1, Bytes: 2 << 20, CPUs: []int{6}, Remote: []int{1, 4}},
			{ID: 2, Bytes: 4 << 20, CPUs: []int{6}, Remote: []int{1, 4}},
		}, ""},
		"a kernel that knows no nodes":  {flat, []int{0, 1, 2, 3}, []memory.Node{{Bytes: 512 << 10, CPUs: []int{0, 1, 2, 3}}}, ""},
		"none of the CPUs may be used":  {numa, []int{9}, nil, "none of [] may be used"},
		"a node that does not say much": {without("sys/devices/system/node/node1/meminfo"), []int{0, 2}, nil, "node1/meminfo"},
	} {
		nodes, err := memory.Nodes(c.root, c.allowed)
		if diff := cmp.Diff(c.want, nodes); diff != "" && c.fault == "" || (err == nil) != (c.fault == "") ||
			err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestSystemRAM(t *testing.T) {
	const sample = `00000000-00000fff : Reserved
00001000-0009fbff : System RAM
00100000-bfffffff : System RAM
  01000000-02276f47 : Kernel code
c0001000-eebfffff : PCI Bus 0000:00
100000000-63fffffff : System RAM
`

	for name, c := range map[string]struct {
		text  string
		bytes uint64
		fault bool
	}{
		"a machine":           {sample, 0x9ec00 + 0xbff00000 + 0x540000000, false},
		"plugged in later":    {"100000000-1ffffffff : dax0.0\n  100000000-1ffffffff : System RAM (kmem)\n", 4 << 30, false},
		"without privileges":  {"00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n", 0, false},
		"what is no range":    {"xyz : System RAM\n", 0, true},
		"one that ends early": {"5000-4000 : System RAM\n", 0, true},
	} {
		ram, err := memory.SystemRAM(fstest.MapFS{"proc/iomem": file(c.text)})
		if memory.Sum(ram) != c.bytes || (err != nil) != c.fault {
			t.Errorf("%s: %#x, %v", name, ram, err)
		}
	}

	if _, err := memory.SystemRAM(fstest.MapFS{}); err == nil {
		t.Error("no /proc/iomem, and no error")
	}
}

func TestReserve(t *testing.T) {
	for total, want := range map[uint64]uint64{2 << 30: 192 << 20, 8 << 30: 192 << 20, 100 << 30: 2 << 30} {
		if got := memory.Reserve(total); got != want {
			t.Errorf("%d of %d stay free, want %d", got, total, want)
		}
	}
}

func TestBootTest(t *testing.T) {
	meminfo := func(text string) fstest.MapFS {
		return fstest.MapFS{"proc/meminfo": file("MemTotal: 1024 kB\n" + text)}
	}
	kmsg := []string{
		"6,100,0,-;early_memtest: # of tests: 4",
		"6,101,0,-;  0x0000000000100000 - 0x0000000001000000 pattern aaaaaaaaaaaaaaaa",
		"6,102,0,-;  aaaaaaaaaaaaaaaa bad mem addr 0x0000000012345000 - 0x0000000012346000 reserved",
	}
	bad := memory.BadRange{Range: memory.Range{Start: 0x12345000, End: 0x12346000}, Pattern: 0xaaaaaaaaaaaaaaaa}

	for name, c := range map[string]struct {
		root fstest.MapFS
		kmsg []string
		want memory.BootTest
	}{
		"it did not run":                  {meminfo(""), nil, memory.BootTest{}},
		"it ran and found nothing":        {meminfo("EarlyMemtestBad: 0 kB"), kmsg[:2], memory.BootTest{Patterns: 4}},
		"its messages are gone":           {meminfo("EarlyMemtestBad: 0 kB"), nil, memory.BootTest{Patterns: 1}},
		"it found a page":                 {meminfo("EarlyMemtestBad: 4 kB"), kmsg, memory.BootTest{Patterns: 4, BadBytes: 4096, Bad: []memory.BadRange{bad}}},
		"it found a page, the log is all": {meminfo(""), kmsg, memory.BootTest{Patterns: 4, BadBytes: 4096, Bad: []memory.BadRange{bad}}},
		"a sum that is all there is":      {meminfo("EarlyMemtestBad: 8 kB"), nil, memory.BootTest{Patterns: 1, BadBytes: 8192}},
	} {
		if diff := cmp.Diff(c.want, memory.ReadBootTest(c.root, c.kmsg)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// structure makes an SMBIOS structure out of its formatted area behind the header.
func structure(kind byte, handle uint16, body []byte, strings ...string) []byte {
	raw := append([]byte{kind, byte(len(body) + 4), byte(handle), byte(handle >> 8)}, body...)
	for _, s := range strings {
		raw = append(append(raw, s...), 0)
	}

	if len(strings) == 0 {
		raw = append(raw, 0)
	}

	return append(raw, 0)
}

// number is n in so many bytes.
func number(n uint64, size int) (raw []byte) {
	for range size {
		raw, n = append(raw, byte(n)), n>>8
	}

	return raw
}

// device is a DIMM of 8 GiB.
func device(handle uint16, slot string) []byte {
	body := make([]byte, 0x54-4)
	body[0x0c-4], body[0x0d-4] = 0x00, 0x20
	body[0x10-4], body[0x18-4], body[0x1a-4] = 1, 2, 3

	return structure(17, handle, body, slot, "SN-"+slot, "EX8G")
}

func board(t *testing.T) memory.Board {
	t.Helper()

	span := func(first, last uint64, device uint16, wide bool) []byte {
		narrow := slices.Concat(number(first>>10, 4), number(last>>10, 4))
		if wide {
			narrow = slices.Concat(number(0xffffffff, 4), number(0xffffffff, 4))
		}

		rest := slices.Concat(number(uint64(device), 2), number(0, 2), number(0, 3))

		return structure(20, 0x2000+device, slices.Concat(narrow, rest, number(first, 8), number(last, 8)))
	}

	tables, err := inventory.ParseSMBIOS(slices.Concat(
		device(1, "DIMM_A1"), device(2, "DIMM_A2"), device(3, "DIMM_B1"),
		span(0, 4<<30-1, 1, false), span(4<<30, 12<<30-1, 1, true), span(4<<30, 12<<30-1, 3, true), span(12<<30, 20<<30-1, 2, true),
	))
	if err != nil {
		t.Fatal(err)
	}

	return memory.ReadBoard(tables)
}

func TestBoard(t *testing.T) {
	b := board(t)

	for address, want := range map[uint64][]string{
		0: {"DIMM_A1"}, 4<<30 - 1: {"DIMM_A1"}, 4 << 30: {"DIMM_A1", "DIMM_B1"}, 12<<30 - 1: {"DIMM_A1", "DIMM_B1"},
		12 << 30: {"DIMM_A2"}, 20 << 30: nil,
	} {
		var slots []string

		for _, part := range b.At(address) {
			slots = append(slots, part.Slot)

			if part.Kind != "dimm" || part.Serial != "SN-"+part.Slot || part.Model != "EX8G" {
				t.Errorf("%+v", part)
			}
		}

		if !slices.Equal(slots, want) {
			t.Errorf("%#x is in %v, want %v", address, slots, want)
		}
	}
}

func TestCounts(t *testing.T) {
	tables, err := inventory.ParseSMBIOS(slices.Concat(device(1, "DIMM_A1"), device(2, "DIMM_A2"), device(3, "P1-DIMMB1")))
	if err != nil {
		t.Fatal(err)
	}

	const mc = "sys/devices/system/edac/mc/"

	root := fstest.MapFS{
		mc + "mc0/dimm0/dimm_label": file("CPU_SrcID#0_MC#0_Chan#0_DIMM#0"), mc + "mc0/dimm0/dimm_ce_count": file("0"),
		mc + "mc0/dimm1/dimm_label": file("DIMM_A2"), mc + "mc0/dimm1/dimm_ce_count": file("3"), mc + "mc0/dimm1/dimm_ue_count": file("1"),
		mc + "mc1/dimm0/dimm_label": file("mc#1 P1-DIMMB1"), mc + "mc1/dimm0/dimm_ce_count": file("7"),
	}
	before := memory.ReadCounts(root, tables)

	if want := (memory.Counts{
		{Kind: "dimm", Slot: "CPU_SrcID#0_MC#0_Chan#0_DIMM#0"}:                   0,
		{Kind: "dimm", Slot: "DIMM_A2", Model: "EX8G", Serial: "SN-DIMM_A2"}:     4,
		{Kind: "dimm", Slot: "P1-DIMMB1", Model: "EX8G", Serial: "SN-P1-DIMMB1"}: 7,
	}); !cmp.Equal(want, before) {
		t.Error(cmp.Diff(want, before))
	}

	if grown := memory.ReadCounts(root, tables).Grown(before); len(grown) != 0 {
		t.Errorf("nothing grew, and %v did", grown)
	}

	root[mc+"mc0/dimm1/dimm_ue_count"] = file("2")

	if grown := memory.ReadCounts(root, tables).Grown(before); len(grown) != 1 || grown[0].Slot != "DIMM_A2" {
		t.Errorf("%v grew, want DIMM_A2", grown)
	}
}

// TestPlan holds the passes as they are documented.
func TestPlan(t *testing.T) {
	for kind, want := range map[memory.Patterns]struct {
		steps int
		words []string
	}{
		memory.Short: {9, []string{"own address", "random", "5555555555555555", "aaaaaaaaaaaaaaaa"}},
		memory.Full: {42, []string{
			"own address", "random", "0000000000000000", "ffffffffffffffff", "3333333333333333", "cccccccccccccccc", "move", "at random",
			"other node", "after 1m0s",
		}},
	} {
		steps := memory.Plan(kind)
		if len(steps) != want.steps || steps[len(steps)-1] != "verify" {
			t.Errorf("%s has %d steps, want %d, the last is %q", kind, len(steps), want.steps, steps[len(steps)-1])
		}

		for _, word := range want.words {
			if !strings.Contains(strings.Join(steps, "\n"), word) {
				t.Errorf("%s has no step with %s:\n%s", kind, word, strings.Join(steps, "\n"))
			}
		}
	}
}

func TestAvailable(t *testing.T) {
	const zones = `Node 0, zone      DMA
  pages free     3840
        boost    0
        min      19
        low      23
        high     27
        spanned  4095
        present  3998
        managed  3840
        protection: (0, 3018, 24090, 24090, 24090)
  pagesets
    cpu: 0
              count:    0
              high:     4
Node 0, zone   Normal
  pages free     100000
        high     25557
        managed  2490368
        protection: (0, 0, 0, 0, 0)
    cpu: 0
              high:     10000
`

	page := uint64(os.Getpagesize())

	for name, c := range map[string]struct {
		root fstest.MapFS
		want uint64
	}{
		"a machine": {
			fstest.MapFS{"proc/meminfo": file("MemAvailable: 1024 kB"), "proc/zoneinfo": file(zones)}, 1<<20 + (3840+25557)*page,
		},
		"one that does not tell of zones": {fstest.MapFS{"proc/meminfo": file("MemAvailable: 1024 kB")}, 1 << 20},
	} {
		if got, err := memory.Available(c.root); err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}

	if _, err := memory.Available(fstest.MapFS{}); err == nil {
		t.Error("no /proc/meminfo, and no error")
	}
}
