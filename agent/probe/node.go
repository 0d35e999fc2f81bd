package probe

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/firmware/inventory"
)

const (
	cpuDevices  = "sys/devices/system/cpu/"
	nodeDevices = "sys/devices/system/node"
)

// Nodes lists the NUMA nodes; machines whose kernel knows none have none.
func (m Machine) Nodes() (nodes []core.Node) {
	for _, name := range m.entries(nodeDevices) {
		id, err := strconv.Atoi(strings.TrimPrefix(name, "node"))
		if err != nil || !strings.HasPrefix(name, "node") {
			continue
		}

		dir := path.Join(nodeDevices, name)
		nodes = append(nodes, core.Node{ID: id, CPUs: m.text(dir + "/cpulist"), MemoryBytes: m.nodeMemory(dir, id)})
	}

	slices.SortFunc(nodes, func(a, b core.Node) int { return a.ID - b.ID })

	return nodes
}

// nodeMemory reads "Node 0 MemTotal: 1024 kB".
func (m Machine) nodeMemory(dir string, id int) uint64 {
	for _, row := range m.lines(dir + "/meminfo") {
		rest, ok := strings.CutPrefix(row, fmt.Sprintf("Node %d MemTotal:", id))
		if !ok {
			continue
		}

		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 44)
		if err != nil {
			return 0
		}

		return kib << 10
	}

	return 0
}

// logical gathers the logical CPUs that are on by their package.
func (m Machine) logical() map[int][]core.Thread {
	nodes, packages := m.nodeOf(), map[int][]core.Thread{}

	for _, t := range m.Threads() {
		if t.Online {
			id := max(t.Package, 0) // kernels that tell of no package have one
			packages[id] = append(packages[id], core.Thread{CPU: t.Number, Core: max(t.Core, 0), APIC: t.APIC, Node: nodes[t.Number]})
		}
	}

	return packages
}

// nodeOf says in which NUMA node each CPU is.
func (m Machine) nodeOf() map[int]int {
	of := map[int]int{}

	for _, node := range m.Nodes() {
		for _, cpu := range ParseList(node.CPUs) {
			of[cpu] = node.ID
		}
	}

	return of
}

// caches counts the caches of a package: CPUs that share one have the same list.
func (m Machine) caches(threads []core.Thread) (caches []core.Cache) {
	seen := map[string]bool{}

	for _, thread := range threads {
		dir := fmt.Sprintf("%scpu%d/cache", cpuDevices, thread.CPU)

		for _, index := range m.entries(dir) {
			if !strings.HasPrefix(index, "index") {
				continue
			}

			at := path.Join(dir, index)
			cache := core.Cache{Level: m.number(at+"/level", 0), Type: m.text(at + "/type"), SizeBytes: kib(m.text(at + "/size"))}

			if key := index + m.text(at+"/shared_cpu_list"); cache.Level > 0 && !seen[key] {
				seen[key] = true
				caches = counted(caches, cache)
			}
		}
	}

	return caches
}

// counted adds one cache to those alike.
func counted(caches []core.Cache, c core.Cache) []core.Cache {
	c.Count = 1

	for i, known := range caches {
		if known.Level == c.Level && known.Type == c.Type && known.SizeBytes == c.SizeBytes {
			caches[i].Count++

			return caches
		}
	}

	return append(caches, c)
}

// kib reads "32K".
func kib(text string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "K"), 10, 40)
	if err != nil {
		return 0
	}

	return n << 10
}

// virtualised reports whether a hypervisor tells the CPUs that it is there.
func (m Machine) virtualised() bool {
	info := inventory.CPUInfo(m.Root)

	return len(info) > 0 && slices.Contains(strings.Fields(info[0]["flags"]), "hypervisor")
}

// clock reads the machine's own clock, which nobody sets before this; nil without
// one.
func (m Machine) clock() *core.Clock {
	seconds, err := strconv.ParseInt(m.text("sys/class/rtc/rtc0/since_epoch"), 10, 64)
	if err != nil {
		return nil
	}

	now := time.Now()
	if m.Now != nil {
		now = m.Now()
	}

	return &core.Clock{Year: time.Unix(seconds, 0).UTC().Year(), OffSeconds: seconds - now.Unix()}
}
