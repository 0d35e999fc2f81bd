package memory

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	nodeDir = "sys/devices/system/node"
	cpuDir  = "sys/devices/system/cpu"
)

// Node is a NUMA node that has memory.
type Node struct {
	ID    int
	Bytes uint64
	// CPUs holds one logical CPU of each of its cores, which together reach the
	// memory's full speed; of the nearest node with CPUs where it has none itself.
	CPUs []int
	// Remote holds one of each core of the nearest other node; none on machines
	// with one node.
	Remote []int
}

// Nodes returns the nodes that have memory, in order, with those of the allowed
// CPUs that are on. A kernel that knows no nodes has one.
func Nodes(root fs.FS, allowed []int) (nodes []Node, err error) {
	cores := firstThreads(root, allowed)
	all := list(text(root, nodeDir+"/has_memory"))

	if len(all) == 0 {
		total, err := Total(root)

		return []Node{{Bytes: total, CPUs: cores}}, err
	}

	processors := map[int][]int{}

	for _, id := range list(text(root, nodeDir+"/online")) {
		of := list(text(root, fmt.Sprintf("%s/node%d/cpulist", nodeDir, id)))
		processors[id] = slices.DeleteFunc(slices.Clone(cores), func(cpu int) bool { return !slices.Contains(of, cpu) })
	}

	for _, id := range all {
		rows, err := meminfo(root, fmt.Sprintf("%s/node%d/meminfo", nodeDir, id))
		if err != nil {
			return nil, err
		}

		near := nearest(root, id, processors)
		if len(near) == 0 {
			return nil, fmt.Errorf("finding CPUs for node %d: none of %v may be used", id, cores)
		}

		n := Node{ID: id, Bytes: rows["MemTotal"], CPUs: processors[near[0]]}
		if len(near) > 1 {
			n.Remote = processors[near[1]]
		}

		if n.Bytes > 0 {
			nodes = append(nodes, n)
		}
	}

	return nodes, nil
}

// share is the node's part of something, by its memory; 0 stays 0.
func (n Node) share(bytes uint64, nodes []Node) uint64 {
	all := uint64(0)
	for _, other := range nodes {
		all += other.Bytes
	}

	return uint64(float64(bytes) * float64(n.Bytes) / float64(max(1, all)))
}

// nearest returns the nodes that have CPUs, ordered by their distance from a node
// (SLIT: 10 is the node itself).
func nearest(root fs.FS, id int, processors map[int][]int) (near []int) {
	online := list(text(root, nodeDir+"/online"))
	distance := map[int]int{}

	for i, word := range strings.Fields(text(root, fmt.Sprintf("%s/node%d/distance", nodeDir, id))) {
		if n, err := strconv.Atoi(word); err == nil && i < len(online) {
			distance[online[i]] = n
		}
	}

	distance[id] = 0

	for _, other := range online {
		if len(processors[other]) > 0 {
			near = append(near, other)
		}
	}

	slices.SortStableFunc(near, func(a, b int) int { return distance[a] - distance[b] })

	return near
}

// firstThreads returns the first logical CPU of each core, of those that are on and
// allowed.
func firstThreads(root fs.FS, allowed []int) (cpus []int) {
	online := list(text(root, cpuDir+"/online"))
	if len(online) == 0 {
		online = allowed
	}

	usable := func(cpu int) bool { return slices.Contains(online, cpu) && slices.Contains(allowed, cpu) }

	for _, cpu := range allowed {
		siblings := list(text(root, path.Join(cpuDir, fmt.Sprintf("cpu%d", cpu), "topology/thread_siblings_list")))
		siblings = slices.DeleteFunc(siblings, func(cpu int) bool { return !usable(cpu) })

		if usable(cpu) && (len(siblings) == 0 || siblings[0] == cpu) {
			cpus = append(cpus, cpu)
		}
	}

	return cpus
}

// cacheShare is how much of the last-level cache one of n threads may find its data
// in, in bytes.
func cacheShare(root fs.FS, cpu, threads int) (bytes int) {
	const guess = 32 << 20

	largest := 0

	for i := range 8 {
		size := text(root, fmt.Sprintf("%s/cpu%d/cache/index%d/size", cpuDir, cpu, i))

		kib, err := strconv.Atoi(strings.TrimSuffix(size, "K"))
		if err == nil {
			largest = max(largest, kib<<10)
		}
	}

	if largest == 0 {
		largest = guess
	}

	return max(1<<20, 2*largest/max(1, threads))
}

// hugeFree reports whether the kernel's pool of huge pages of a size has one left,
// on a node (-1: anywhere).
func hugeFree(root fs.FS, node, size int) bool {
	dir := "sys/kernel/mm"
	if node >= 0 {
		dir = fmt.Sprintf("%s/node%d", nodeDir, node)
	}

	free := text(root, fmt.Sprintf("%s/hugepages/hugepages-%dkB/free_hugepages", dir, size>>10))

	return free != "" && free != "0"
}

// list reads numbers like "0-3,8,10-11" as the kernel lists CPUs and nodes; none
// when the text is not that.
func list(text string) (numbers []int) {
	const most = 1 << 16

	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}

		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)

		if err1 != nil || err2 != nil || from < 0 || to >= most {
			return nil
		}

		for n := from; n <= to; n++ {
			numbers = append(numbers, n)
		}
	}

	return numbers
}

// text reads a small file of sysfs; nothing when it is not there.
func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(b))
}
