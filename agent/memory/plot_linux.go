package memory

import (
	"fmt"
	"math/bits"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/memory/pattern"
)

// Sizes of what is taken at a time, and of a huge page.
const (
	hugeBytes   = 2 << 20
	largestPlot = 1 << 30
)

// bindNode is MPOL_BIND of <linux/mempolicy.h>: take memory of these nodes only.
const bindNode = 2

// plot is a stretch of memory under test, of a thread's own.
type plot struct {
	raw     []byte // as mapped
	area    pattern.Area
	content pattern.Content
	locked  bool
	lockErr error
	pages   []uint64 // a digest of the physical pages of each 2 MiB
}

// newPlot maps bytes, a multiple of a huge page, on a node (-1: any), and touches
// each page, so that it is there: the kernel gives it out near the CPU that does.
func newPlot(bytes, node int, alive func()) (*plot, error) {
	raw, err := unix.Mmap(-1, 0, bytes+hugeBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mapping %d MiB: %w", bytes>>20, err)
	}

	mem := raw[align(raw, hugeBytes):][:bytes]

	// Neither is needed: without huge pages the test is slower, and nobody dumps.
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	_ = unix.Madvise(mem, unix.MADV_DONTDUMP)

	if node >= 0 {
		if err := bind(mem, node); err != nil {
			_ = unix.Munmap(raw) // nothing is lost by it

			return nil, err
		}
	}

	for at := 0; at < len(mem); at += hugeBytes {
		touch(mem[at:min(at+hugeBytes, len(mem))])
		alive()
	}

	p := &plot{raw: raw, area: pattern.NewArea(mem)}
	p.lockErr = unix.Mlock(mem)
	p.locked = p.lockErr == nil

	return p, nil
}

// hugeSizes are those that the kernel may keep a pool of.
func hugeSizes() []int { return []int{1 << 30, hugeBytes} }

// newHugePlot takes a page out of the kernel's pool of huge pages, which nothing
// else can use; the error says that there is none left on the node.
func newHugePlot(size, node int) (*plot, error) {
	const sizeShift = 26 // MAP_HUGE_SHIFT

	flags := unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_HUGETLB | bits.TrailingZeros(uint(size))<<sizeShift

	raw, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("mapping a page of %d MiB: %w", size>>20, err)
	}

	if node >= 0 {
		err = bind(raw, node)
	}

	if err == nil { // to touch one that is not there would be the end of the process
		err = unix.Madvise(raw, unix.MADV_POPULATE_WRITE)
	}

	if err != nil {
		_ = unix.Munmap(raw) // nothing is lost by it

		return nil, fmt.Errorf("taking a page of %d MiB: %w", size>>20, err)
	}

	return &plot{raw: raw, area: pattern.NewArea(raw), locked: true}, nil // such pages cannot be swapped
}

func (p *plot) release() error {
	if err := unix.Munmap(p.raw); err != nil {
		return fmt.Errorf("giving memory back: %w", err)
	}

	return nil
}

// align returns how far the next multiple of a size is.
func align(raw []byte, size int) int {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(raw))) //nolint:gosec // its place is what counts

	return int(-start & uintptr(size-1))
}

func touch(mem []byte) {
	for at := 0; at < len(mem); at += os.Getpagesize() {
		mem[at] = 1
	}
}

// bind has memory come from one node.
func bind(mem []byte, node int) error {
	const bitsInWord = 64

	mask := make([]uint64, node/bitsInWord+1)
	mask[node/bitsInWord] = 1 << (node % bitsInWord)

	_, _, errno := unix.Syscall6(unix.SYS_MBIND,
		uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), bindNode, //nolint:gosec // mapped, so that it stays where it is
		uintptr(unsafe.Pointer(&mask[0])), uintptr(len(mask)*bitsInWord+1), 0) //nolint:gosec // alive over the call
	if errno != 0 {
		return fmt.Errorf("binding memory to node %d: %w", node, errno)
	}

	return nil
}
