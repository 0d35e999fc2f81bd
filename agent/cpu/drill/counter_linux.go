package drill

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counters are the CPU's own counts of instructions and cycles of the calling
// thread. Where the kernel or a hypervisor does not give them, all is zero.
type counters struct{ instructions, cycles int }

func openCounters() *counters {
	c := &counters{instructions: openCounter(unix.PERF_COUNT_HW_INSTRUCTIONS), cycles: -1}
	if c.instructions >= 0 {
		c.cycles = openCounter(unix.PERF_COUNT_HW_CPU_CYCLES)
	}

	return c
}

func openCounter(config uint64) int {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_HARDWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: config, //nolint:gosec // the size of a struct
		Bits: unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}

	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1
	}

	return fd
}

func (c *counters) each(do func(fd int)) {
	for _, fd := range []int{c.instructions, c.cycles} {
		if fd >= 0 {
			do(fd)
		}
	}
}

func (c *counters) start() {
	c.each(func(fd int) {
		_ = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_RESET, 0) // what was opened can be reset
		_ = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0)
	})
}

// stop returns the counts since start.
func (c *counters) stop() (instructions, cycles uint64) {
	c.each(func(fd int) { _ = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_DISABLE, 0) })

	return count(c.instructions), count(c.cycles)
}

func count(fd int) uint64 {
	var raw [8]byte

	if fd < 0 {
		return 0
	}

	if n, err := unix.Read(fd, raw[:]); err != nil || n != len(raw) {
		return 0
	}

	return binary.NativeEndian.Uint64(raw[:])
}

func (c *counters) close() { c.each(func(fd int) { _ = unix.Close(fd) }) }

// threadTime is how long the calling thread has had a CPU.
func threadTime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		return 0
	}

	return time.Duration(now.Nano())
}
