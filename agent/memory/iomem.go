package memory

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Range is a stretch of physical addresses; End is the first one behind it.
type Range struct{ Start, End uint64 }

// Bytes is its size.
func (r Range) Bytes() uint64 { return r.End - r.Start }

// SystemRAM returns where the machine's memory is, in order (/proc/iomem). None
// are returned to processes without privileges, to whom the kernel shows zeros.
func SystemRAM(root fs.FS) (ranges []Range, err error) {
	all, err := fs.ReadFile(root, "proc/iomem")
	if err != nil {
		return nil, fmt.Errorf("reading /proc/iomem: %w", err)
	}

	for row := range strings.Lines(string(all)) {
		span, name, _ := strings.Cut(row, " : ")
		// What was plugged in later says so behind: "System RAM (kmem)" is CXL memory.
		if !strings.HasPrefix(strings.TrimSpace(name), "System RAM") {
			continue
		}

		low, high, _ := strings.Cut(strings.TrimSpace(span), "-")
		start, err1 := strconv.ParseUint(low, 16, 64)
		end, err2 := strconv.ParseUint(high, 16, 63)

		if err1 != nil || err2 != nil || end < start {
			return nil, fmt.Errorf("reading /proc/iomem: %.80q is no range", strings.TrimSpace(row))
		}

		if end > 0 {
			ranges = append(ranges, Range{start, end + 1})
		}
	}

	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })

	return ranges, nil
}

// Sum adds the sizes up.
func Sum(ranges []Range) (bytes uint64) {
	for _, r := range ranges {
		bytes += r.Bytes()
	}

	return bytes
}

// inside reports whether an address is in one of the ranges, which are in order.
func inside(ranges []Range, address uint64) bool {
	i, found := slices.BinarySearchFunc(ranges, address, func(r Range, a uint64) int { return cmp.Compare(r.Start, a) })

	return found || i > 0 && address < ranges[i-1].End
}
