package memory

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
)

// budget says how much more memory a worker may take. Safe for concurrent use.
type budget struct {
	root fs.FS
	job  *job

	mu      sync.Mutex
	taken   uint64 // guarded by mu
	pending uint64 // guarded by mu: granted, and not yet used, so that the kernel still counts it as free
}

// take asks for bytes. Where there are not so many, it is refused.
func (b *budget) take(bytes uint64) (granted bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.job.Limit != 0 && b.taken+bytes > b.job.Limit {
		return false, nil
	}

	free, err := available(b.root)
	if err != nil {
		return false, err
	}

	if free < b.job.Reserve+b.pending+bytes {
		return false, nil
	}

	if b.job.Bind {
		free, err := nodeAvailable(b.root, b.job.Node)
		if err != nil {
			return false, err
		}

		if free < b.job.NodeReserve+b.pending+bytes {
			return false, nil
		}
	}

	b.taken, b.pending = b.taken+bytes, b.pending+bytes

	return true, nil
}

// used says that granted bytes are in use now.
func (b *budget) used(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.pending -= bytes
}

// give returns bytes that could not be used.
func (b *budget) give(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.taken, b.pending = b.taken-bytes, b.pending-bytes
}

// available is what the machine can still hand out: what the kernel says, and what
// it keeps back for its own use, since that is part of what stays free here.
func available(root fs.FS) (uint64, error) {
	rows, err := meminfo(root, "proc/meminfo")

	return rows["MemAvailable"] + kept(root), err
}

// kept is what the kernel takes off when it says how much is available: of each
// zone its high watermark and what it keeps from other zones (mm/page_alloc.c,
// calculate_totalreserve_pages). On a machine of 8 GiB that is nearly as much as
// the reserve.
func kept(root fs.FS) (bytes uint64) {
	var managed, high uint64

	for line := range strings.Lines(text(root, "proc/zoneinfo")) {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \n:,()", r) })
		if len(words) < 2 {
			continue
		}

		switch n := uintOf(words[1]); words[0] {
		case "Node": // the next zone begins
			managed, high = 0, 0
		case "high":
			if high == 0 { // those of each CPU come later
				high = n
			}
		case "managed":
			managed = n
		case "protection": // comes behind both
			for _, word := range words[2:] {
				n = max(n, uintOf(word))
			}

			bytes += min(managed, high+n) * uint64(os.Getpagesize())
		}
	}

	return bytes
}

func uintOf(word string) uint64 {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return 0
	}

	return n
}

// nodeAvailable is what a node can still hand out: what is free, and files that can
// be read again.
func nodeAvailable(root fs.FS, node int) (uint64, error) {
	rows, err := meminfo(root, fmt.Sprintf("%s/node%d/meminfo", nodeDir, node))

	return rows["MemFree"] + rows["Active(file)"] + rows["Inactive(file)"], err
}
